"""The admin in a browser that reaches nobody but us: it looks and works as it should."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Page
from tests.support.house import House
from tests.support.threads import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LISTEN = """
    refused = [];
    document.addEventListener("securitypolicyviolation", e => refused.push(
        `${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
"""


@pytest.fixture
def admin(page: Page, house: House) -> Page:
    """Return a tab in which the demo's operator has logged in by the form."""
    page.call("Page.addScriptToEvaluateOnNewDocument", source=LISTEN)
    page.open(f"{house.url}/admin/")
    page.run("""
        document.querySelector("[name=username]").value = "demo";
        document.querySelector("[name=password]").value = "demo";
        document.querySelector("form").requestSubmit();
    """)
    page.wait_for("location.pathname === '/admin/' && document.readyState === 'complete'")
    return page


def press(page: Page, selector: str, then: str) -> None:
    """Click, and wait for the page that follows."""
    page.run(f"document.querySelector({selector!r}).click()")
    page.wait_for(f"document.readyState === 'complete' && ({then})")


def refused(page: Page) -> Any:
    """Return what the content security policy has refused on this page."""
    return page.run("refused")


def _sync(house: House, task: str) -> Any:
    with house.client() as api:
        return api.get(f"tasks/{task}/").json()["sync"]


@pytest.fixture
def steady(house: House) -> Iterator[None]:
    """Let the demo's destination that fails at times be told of nothing that is made."""
    with house.client() as api:
        (flaky,) = [
            one for one in api.get("destinations/").json()["results"] if "/flaky/" in one["url"]
        ]
        api.patch(f"destinations/{flaky['id']}/", json={"events": ["task_deleted"]})
        yield
        api.patch(f"destinations/{flaky['id']}/", json={"events": flaky["events"]})


@pytest.mark.usefixtures("steady")
def test_a_task_made_in_the_admin_reaches_the_outside_world(
    admin: Page, house: House, pictures: Path
) -> None:
    admin.open(f"{house.url}/admin/tasks_app/task/add/")
    box = "document.querySelector('.select2-selection')"
    admin.wait_for(f"{box} !== null")
    admin.run("jQuery = django.jQuery; jQuery('#id_workspace').select2('open'); 0")
    admin.wait_for("document.querySelector('.select2-results__option--highlighted') !== null")
    admin.run("""
        const found = document.querySelector(".select2-results__option--highlighted");
        jQuery(found).trigger("mouseup"); 0
    """)
    admin.run("document.querySelector('#id_title').value = 'Made in the admin'")
    admin.screenshot(pictures / "admin-add.png")
    assert refused(admin) == []
    press(admin, "[name=_save]", "document.querySelector('.messagelist .success') !== null")
    assert "Made in the admin" in admin.text()
    admin.screenshot(pictures / "admin-tasks.png")
    with house.client() as api:
        (task,) = api.get("tasks/", params={"search": "Made in the admin"}).json()["results"]
        events = api.get(f"tasks/{task['id']}/events/").json()["results"]
    assert task["created_by"] == "demo"
    assert events[0]["actor"]["name"] == "demo"
    state = "document.querySelector('.field-sync .readonly').innerText"
    until(lambda: _sync(house, task["id"]) == "synced", "the task is everywhere")
    admin.open(f"{house.url}/admin/tasks_app/task/{task['id']}/change/")
    assert admin.run(state) == "synced"
    admin.screenshot(pictures / "admin-task.png")
    assert refused(admin) == []


def test_every_list_looks_as_it_should_and_asks_nobody_else(
    admin: Page, house: House, pictures: Path
) -> None:
    links = "[...document.querySelectorAll('#content-main th a')].map(a => a.href)"
    for url in admin.run(links):
        admin.open(url)
        assert refused(admin) == [], url
        assert admin.run("getComputedStyle(document.querySelector('#header')).display") == "flex"
    admin.open(f"{house.url}/admin/tasks_app/delivery/?workspace=demo")
    admin.screenshot(pictures / "admin-deliveries.png")
    hosts = {urlsplit(asked).netloc for asked in admin.asked()}
    assert hosts <= {urlsplit(house.url).netloc, ""}
    assert admin.complaints() == []


def test_a_destination_is_paused_by_its_button(admin: Page, house: House, pictures: Path) -> None:
    with house.client() as api:
        made = api.post("destinations/", json={"name": "To pause", "url": f"{house.sandbox}/post"})
    admin.open(f"{house.url}/admin/tasks_app/destination/{made.json()['id']}/change/")
    admin.screenshot(pictures / "admin-destination.png")
    press(admin, "button[value=pause]", "document.querySelector('.messagelist') !== null")
    assert "Paused 1 destination." in admin.text()
    with house.client() as api:
        assert api.get(f"destinations/{made.json()['id']}/").json()["state"] == "paused"
        api.delete(f"destinations/{made.json()['id']}/")
