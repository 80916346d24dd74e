"""The API's documentation in a browser that reaches nobody but us."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Page
from tests.support.house import DEMO_KEY, House

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_documentation_is_shown_without_asking_anybody_else(
    page: Page, house: House, pictures: Path
) -> None:
    page.open(f"{house.url}/api/docs/")
    page.wait_for("document.querySelectorAll('.opblock').length > 10")
    text = page.text()
    for path in ("/api/v1/tasks/", "/api/v1/tasks/{task_id}/", "/api/v1/stream/ticket/"):
        assert path in text
    assert "Create a task" in text  # what each call is for, not only its path
    page.screenshot(pictures / "documentation.png")
    origins = {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, page.asked())}
    assert origins <= {house.url, "data://"}
    assert page.complaints() == []


def click(page: Page, selector: str) -> None:
    """Click once it is there."""
    page.wait_for(f"document.querySelector({selector!r}) !== null")
    page.run(f"document.querySelector({selector!r}).click()")


def test_a_call_can_be_tried_from_the_documentation(
    page: Page, house: House, pictures: Path
) -> None:
    """What a newcomer does first: authorise with the demo key, list the tasks."""
    page.open(f"{house.url}/api/docs/")
    click(page, "button.authorize")
    page.wait_for("document.querySelector('.auth-container input') !== null")
    page.run("document.querySelector('.auth-container input').focus()")
    page.call("Input.insertText", text=DEMO_KEY)
    click(page, ".auth-btn-wrapper button[type=submit]")
    click(page, ".auth-btn-wrapper .btn-done")
    click(page, "#operations-tasks-tasks_list button.opblock-summary-control")
    click(page, "#operations-tasks-tasks_list .try-out__btn")
    click(page, "#operations-tasks-tasks_list .execute")
    answer = "#operations-tasks-tasks_list .live-responses-table .response .response-col_status"
    page.wait_for(f"document.querySelector({answer!r})?.innerText.trim() === '200'")
    page.run(f"document.querySelector({answer!r}).scrollIntoView()")
    page.screenshot(pictures / "tried.png")
