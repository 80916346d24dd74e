"""The API in a real browser: log in, create, change and delete a task by forms, log out."""

from pathlib import Path

import pytest

from tests.support.browser import Page
from tests.support.house import House

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def fill_in(page: Page, form: str, then: str, **typed: str) -> None:
    """Type into a form's fields, send it, and wait for the page that answers."""
    before = page.run("performance.timeOrigin")
    for name, value in typed.items():
        page.run(f"document.querySelector('{form} [name={name}]').value = {value!r}")
    page.run(f"document.querySelector('{form}').requestSubmit()")
    page.wait_for(f"performance.timeOrigin !== {before} && document.readyState === 'complete'")
    page.wait_for(f"document.body.innerText.includes({then!r})")


def test_somebody_logs_in_and_keeps_tasks_with_forms(
    page: Page, house: House, pictures: Path
) -> None:
    tasks = f"{house.url}/api/v1/tasks/"
    page.open(tasks)
    assert "401 Unauthorized" in page.text()
    page.run("document.querySelector('a[href*=login]').click()")
    page.wait_for("document.querySelector('[name=username]') !== null")
    fill_in(page, "form", "200 OK", username="demo", password="demo")
    assert page.run("location.pathname") == "/api/v1/tasks/"
    fill_in(
        page,
        "form.post.fields",
        "201 Created",
        title="Written in a browser",
        labels="ops",
        due_at="2027-01-31T12:00",
    )
    page.screenshot(pictures / "browsable-created.png")
    made = page.run("document.body.innerText.match(/Location: (\\S+)/)[1]")
    page.open(made)
    fill_in(page, "form.patch.fields", '"status": "done"', status="done")
    assert '"due_at": "2027-01-31T12:00:00' in page.text()
    fill_in(page, "form.patch.fields", "400 Bad Request", title="   ")
    assert page.run("document.querySelectorAll('[role=alert]').length") == 1
    page.open(made)
    fill_in(page, "form.delete", "200 OK")
    page.open(made)
    assert "404 Not Found" in page.text()
    fill_in(page, "header form", "Username")
    page.open(tasks)
    assert "401 Unauthorized" in page.text()
    assert page.complaints() == []
    assert all(url.startswith((house.url, "data:")) for url in page.asked())
