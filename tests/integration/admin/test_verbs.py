"""Actions on ticked rows: what was done is said, what was refused is said with its reason."""

from typing import Any

import pytest
from django.test import Client

from tasks_app.actions.task import create_task
from tasks_app.models import ApiKey, Delivery, DeliveryState, Destination, Event, Workspace
from tests.support import factories
from tests.support.admin_pages import address, do, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(workspace: Workspace) -> Destination:
    return factories.destination(workspace)


def made(workspace: Workspace, count: int = 1) -> list[Delivery]:
    for number in range(count):
        fields = {"title": f"t{number}"}
        create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    return list(Delivery.objects.order_by("sequence"))


def test_cancelling_and_retrying_says_what_was_done_and_what_was_not(
    browser: Client, workspace: Workspace, destination: Destination
) -> None:
    rows = made(workspace, 3)
    assert texts(do(browser, Delivery, "cancel", *rows[:2])) == ["Cancelled 2 deliveries."]
    told = texts(do(browser, Delivery, "retry", *rows))
    assert told[0] == "Retried 2 deliveries."
    assert "Refused for 1 delivery: Only a delivery that has ended dead or cancelled" in told[1]
    kinds = list(Event.objects.order_by("seq").values_list("type", flat=True))[3:]
    assert kinds == ["task_sync_cancelled"] * 2 + ["task_sync_scheduled"] * 2
    assert Event.objects.order_by("-seq")[0].actor["name"] == "olivia"


def test_a_button_on_the_page_does_the_same_and_leads_back_to_it(
    browser: Client, workspace: Workspace, destination: Destination
) -> None:
    (row,) = made(workspace)
    page = browser.get(address(Delivery, "change", row.pk)).content.decode()
    assert 'value="cancel"' in page
    answer = do(browser, Delivery, "cancel", row, one=row.pk)
    assert answer.redirect_chain[-1][0] == address(Delivery, "change", row.pk)
    assert Delivery.objects.get().state == DeliveryState.CANCELLED


def test_a_click_changes_no_more_than_it_may(
    browser: Client, workspace: Workspace, destination: Destination
) -> None:
    """Also where "all pages" is sent, which no page offers."""
    made(workspace, 1)
    first = Delivery.objects.values().get()
    same = {name: value for name, value in first.items() if name not in {"id", "sequence"}}
    copies = [Delivery(**same, sequence=number) for number in range(2, 103)]
    Delivery.objects.bulk_create(copies)
    answer = do(browser, Delivery, "cancel", *copies[:1], select_across="1")
    assert texts(answer) == ["At most 100 at a time: nothing was done."]
    assert not Delivery.objects.exclude(state__in=["pending", "waiting"]).exists()


def test_destinations_are_paused_resumed_and_pinged(
    browser: Client, workspace: Workspace, destination: Destination
) -> None:
    assert texts(do(browser, Destination, "pause", destination)) == ["Paused 1 destination."]
    destination.refresh_from_db()
    assert destination.state == "paused"
    assert texts(do(browser, Destination, "resume", destination)) == ["Resumed 1 destination."]
    do(browser, Destination, "ping", destination)
    kinds = list(Event.objects.order_by("seq").values_list("type", flat=True))
    assert kinds == ["destination_paused", "destination_resumed", "ping"]
    assert Delivery.objects.get().event_type == "ping"


def test_a_deleted_destination_does_nothing_any_more(
    browser: Client, workspace: Workspace, destination: Destination
) -> None:
    asked = do(browser, Destination, "delete_destinations", destination)
    assert "Delete these destinations?" in asked.content.decode()
    do(browser, Destination, "delete_destinations", destination, confirmed="yes")
    told = texts(do(browser, Destination, "resume", destination))
    assert told[0].startswith("Refused for 1 destination: There is no such thing")
    kinds = list(Event.objects.order_by("seq").values_list("type", flat=True))
    assert kinds == ["destination_deleted"]


def test_a_key_is_revoked(browser: Client, workspace: Workspace) -> None:
    member = workspace.memberships.get()
    key: Any = ApiKey.objects.create(membership=member, name="k", prefix="ac_x", digest="d" * 64)
    assert texts(do(browser, ApiKey, "revoke", key)) == ["Revoked 1 API key."]
    key.refresh_from_db()
    assert key.revoked_at is not None
