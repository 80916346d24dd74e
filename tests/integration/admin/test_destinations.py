"""Destinations in the admin: changed by the actions that the API calls."""

from typing import Any

import pytest
from django.test import Client

from tasks_app.actions.destination import create_destination, pause_destination
from tasks_app.models import Destination, Event, Workspace
from tests.support import factories
from tests.support.admin_pages import address, filled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(workspace: Workspace) -> Destination:
    fields = {
        "name": "CRM",
        "url": "http://127.0.0.1:9/",
        "auth": {"type": "bearer", "token": "t0ken"},
        "headers": {"X-A": "b"},
    }
    made, _ = create_destination(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    return made


def change(browser: Client, destination: Destination, **typed: Any) -> Any:
    url = address(Destination, "change", destination.pk)
    return browser.post(url, filled(browser, url, **typed), follow=True)


def test_a_change_is_recorded_and_its_secrets_stay(
    browser: Client, destination: Destination
) -> None:
    before: Any = Destination.objects.values().get()
    change(browser, destination, timeout="30", retry_schedule="1, 2,3")
    after: Any = Destination.objects.values().get()
    differ = {name for name in before if before[name] != after[name]}
    assert differ == {"timeout", "retry_schedule", "updated_at"}
    assert (after["timeout"], after["retry_schedule"]) == (30, [1, 2, 3])
    event = Event.objects.order_by("-seq")[0]
    assert (event.type, event.data["changed"]) == (
        *("destination_changed", ["retry_schedule", "timeout"]),
    )


def test_saving_a_page_as_it_is_changes_nothing(browser: Client, destination: Destination) -> None:
    before = Destination.objects.values().get()
    assert change(browser, destination).redirect_chain
    assert Destination.objects.values().get() == before
    assert Event.objects.count() == 1


def test_a_stale_page_overwrites_nothing_and_says_so(
    browser: Client, destination: Destination
) -> None:
    url = address(Destination, "change", destination.pk)
    sent = filled(browser, url, timeout="30")
    pause_destination(
        workspace_id=destination.workspace_id,
        destination_id=destination.pk,
        cause=factories.cause(),
    )
    page = browser.post(url, sent).content.decode()
    assert "Somebody has changed this destination since" in page
    assert Destination.objects.get().timeout == 15


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "http://10.0.0.1/", "not one we may send to"),
        ("url", "ftp://example.org/", ""),
        ("name", "two\nlines", "control characters"),
        ("mapping", "a..b", ""),
        ("mapping", "nothing.of.this", "Tried on"),
        ("timeout", "61", "60"),
        ("retry_schedule", "5, soon", "whole numbers"),
        ("retry_schedule", "0", "within 1"),
        ("events", "task_exploded", ""),
    ],
)
def test_what_the_api_would_refuse_is_refused_beside_its_field(
    browser: Client, destination: Destination, field: str, value: str, says: str
) -> None:
    answer = change(browser, destination, **{field: value})
    errors = answer.context["adminform"].form.errors
    assert list(errors) == [field]
    assert says in str(errors)
    assert Event.objects.count() == 1


def test_a_secret_is_not_sent_to_an_address_that_it_was_not_given_for(
    browser: Client, destination: Destination
) -> None:
    answer = change(browser, destination, url="http://127.0.0.1:10/")
    assert "give this secret again" in str(answer.context["adminform"].form.errors)
    assert Destination.objects.get().url == "http://127.0.0.1:9/"


def test_a_deleted_one_is_shown_and_stays_as_it_was(
    browser: Client, destination: Destination
) -> None:
    url = address(Destination, "delete", destination.pk)
    assert browser.post(url, filled(browser, url)).status_code == 302
    assert Event.objects.order_by("-seq")[0].type == "destination_deleted"
    page = address(Destination, "change", destination.pk)
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"name": "again"}).status_code == 403
