"""A login in a browser: what its cookie opens, and for whose pages."""

import signal

import pytest

from tests.browser.test_following import create, head_of, kill_stream
from tests.support.browser import Browser, Page
from tests.support.house import House
from tests.support.threads import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

FOLLOW = """
    seqs = []; byes = [];
    source = new EventSource("/api/v1/events/stream?after=0");
    source.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.id) seqs.push(frame.seq);
    };
    source.addEventListener("bye", ({ data }) => byes.push(JSON.parse(data).code));
"""


def log_in(page: Page, house: House) -> None:
    """Log in as people do: with the form."""
    page.open(f"{house.url}/api/auth/login/")
    page.run("""
        document.querySelector("[name=username]").value = "demo";
        document.querySelector("[name=password]").value = "demo";
        document.querySelector("form").requestSubmit();
    """)
    page.wait_for("location.pathname === '/api/docs/' && document.readyState === 'complete'")


def all_came_once(page: Page, house: House) -> None:
    """Wait until the page has all there is, and see that it came once and in order."""
    head = head_of(house)
    page.wait_for(f"seqs.at(-1) >= {head}")
    seqs = page.run("seqs")
    assert seqs == list(range(1, len(seqs) + 1))


def test_an_event_source_goes_on_where_it_was_when_the_stream_is_killed(
    page: Page, house: House
) -> None:
    log_in(page, house)
    create(house, "Before it looks")
    page.run(FOLLOW)
    all_came_once(page, house)
    for number in range(2):
        kill_stream(house)
        create(house, f"Nobody is listening {number}")
        page.wait_for("source.readyState === EventSource.OPEN")
        all_came_once(page, house)
    assert page.run("byes") == []  # it was killed: it could not say a word


def test_an_event_source_comes_back_to_a_stream_that_is_restarted(page: Page, house: House) -> None:
    """While the old process says goodbye, and until there is a new one."""
    log_in(page, house)
    page.run(FOLLOW)
    all_came_once(page, house)
    leaving = house.kill("stream", signal.SIGTERM)
    page.wait_for("byes.length > 0")
    create(house, "Between two processes")
    until(lambda: house.pid("stream") != leaving, "another stream process", 60)
    all_came_once(page, house)
    assert set(page.run("byes")) == {4001}


def test_the_cookie_opens_a_stream_to_pages_of_allowed_origins_only(
    browser: Browser, house: House, friend: str, stranger: str
) -> None:
    """Ports differ and the site does not: SameSite lets the cookie through, the origin must not."""
    log_in(browser.new_page(), house)
    knocks = {}
    for name, origin in {"friend": friend, "stranger": stranger}.items():
        visited = browser.new_page()
        visited.open(f"{origin}/follow.html")
        knocks[name] = visited.run(f"knock({house.socket_url!r} + '/ws/tasks')")
    assert [frame["type"] for frame in knocks["friend"]["got"]] == ["welcome"]
    assert knocks["stranger"] == {"got": [], "code": 1006, "reason": ""}


def test_a_stranger_s_page_reads_nothing_with_the_user_s_cookie(
    browser: Browser, house: House, stranger: str
) -> None:
    log_in(browser.new_page(), house)
    visited = browser.new_page()
    visited.open(f"{stranger}/follow.html")
    for path in ("tasks/", "events/stream?after=0"):
        url = f"{house.url}/api/v1/{path}"
        read = f"fetch({url!r}, {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
        assert visited.run(read) == "refused", path
