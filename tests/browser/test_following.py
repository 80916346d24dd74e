"""What a page sees of the stream: its own task being synced, every cut survived, every refusal."""

from pathlib import Path

import pytest

from tests.support.browser import Page
from tests.support.house import DEMO_KEY, House
from tests.support.threads import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def start(page: Page, friend: str, house: House, after: str = "") -> None:
    """Let a page of the friend's follow with the client that the documentation prints."""
    page.open(f"{friend}/follow.html")
    page.run(f"start({house.url!r}, {DEMO_KEY!r}, {after!r})")
    page.wait_for("socket !== null")


def head_of(house: House) -> int:
    with house.client() as api:
        return int(api.get("tasks/").headers["Stream-Cursor"].partition(".")[2])


def create(house: House, title: str) -> None:
    with house.client() as api:
        assert api.post("tasks/", json={"title": title}).status_code == 201


def kill_stream(house: House) -> None:
    """Kill the stream, and wait until its supervisor has started another."""
    killed = house.kill("stream")
    until(lambda: house.pid("stream") != killed, "another stream process", 30)


def test_a_page_with_a_ticket_sees_the_task_it_made_being_synced(
    page: Page, friend: str, house: House, pictures: Path
) -> None:
    start(page, friend, house)
    page.run("socket.send('hello')")
    page.wait_for("frames.some(f => f.type === 'echo' && f.message === 'hello')")
    call = f"api({house.url!r}, {DEMO_KEY!r})"
    task = page.run(f"{call}('tasks/', {{title: 'Made in a page'}})")
    assert task["sync"] == "scheduled"
    of_task = f"seen.filter(e => e.task?.id === {task['id']!r}).map(e => e.type)"
    page.wait_for(f"{of_task}.includes('task_synced')")
    assert page.run(of_task)[0] == "task_created"
    page.screenshot(pictures / "following.png")
    assert "Made in a page" in page.text()


def test_the_documented_client_misses_nothing_when_the_stream_is_killed(
    page: Page, friend: str, house: House
) -> None:
    start(page, friend, house, after="0")
    for number in range(3):
        create(house, f"Before kill {number}")
        page.run("socket = null")
        kill_stream(house)
        create(house, f"While it is away {number}")
        page.wait_for("socket !== null")
    create(house, "At the end")
    page.wait_for("seen.some(e => e.task?.title === 'At the end')")
    seqs = page.run("seen.map(e => e.seq)")
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("query", ["?ticket=never-given-out", ""])
def test_a_page_is_told_why_it_may_not_follow(
    page: Page, friend: str, house: House, query: str
) -> None:
    page.open(f"{friend}/follow.html")
    told = page.run(f"knock({house.socket_url!r} + '/ws/tasks{query}')")
    assert told == {"got": [], "code": 4501, "reason": "bad or missing credentials"}


def test_a_ticket_opens_one_socket_once(page: Page, friend: str, house: House) -> None:
    page.open(f"{friend}/follow.html")
    url = page.run(f"api({house.url!r}, {DEMO_KEY!r})('stream/ticket/', {{}})")["url"]
    first = page.run(f"knock({url!r})")
    assert [frame["type"] for frame in first["got"]] == ["welcome"]
    assert page.run(f"knock({url!r})")["code"] == 4501
