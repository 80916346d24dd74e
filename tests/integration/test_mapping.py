"""A mapping from the row to the wire: signed as it is, and never a silent null."""

import pytest
from standardwebhooks import Webhook

from tasks_app.actions.destination import change_destination, ping_destination
from tasks_app.actions.task import create_task
from tasks_app.connectors.sample import SAMPLE_TASK
from tasks_app.models import Attempt, Delivery, Workspace
from tests.support.engine import SECRET, deliver, make_due, states, to, told
from tests.support.factories import cause
from tests.support.receiver import Exchange
from tests.support.sink import Came, sink

pytestmark = pytest.mark.django_db(transaction=True)


def make(workspace: Workspace, title: str, **fields: str) -> None:
    """Create a task."""
    create_task(workspace_id=workspace.pk, fields={"title": title, **fields}, cause=cause())


def test_what_the_mapping_makes_is_sent_and_signed_byte_for_byte(workspace: Workspace) -> None:
    sent: list[tuple[bytes, dict[str, str]]] = []

    async def keep(_came: Came, exchange: Exchange) -> None:
        sent.append((exchange.request.body, exchange.request.headers))
        await exchange.answer()

    with sink(keep) as out:
        to(workspace, out.url, mapping="{data: {text: task.title, type: type}}")
        make(workspace, "Ünï")
        deliver()
    [(body, headers)] = sent
    assert body == '{"data":{"text":"Ünï","type":"task_created"}}'.encode()
    Webhook(SECRET).verify(body, headers)


def test_a_mapping_that_gives_nothing_later_is_a_fault_that_says_so_and_spends_nothing(
    workspace: Workspace,
) -> None:
    with sink() as out:
        there = to(workspace, out.url, mapping="task.external_id && {data: task}")
        make(workspace, "without")
        make(workspace, "with", external_id="CRM-1")
        deliver()
        assert [came.data["title"] for came in out.came] == ["with"]
        stuck = Delivery.objects.get(destination=there, state="pending")
        assert (stuck.error, stuck.failures, stuck.attempts) == ("mapping_failed", 0, 1)
        attempt = Attempt.objects.get(delivery=stuck)
        assert attempt.detail == "The mapping gives null for this event."
        assert "task_sync_retrying" in told(workspace)
        change_destination(
            workspace_id=workspace.pk,
            destination_id=there.pk,
            fields={"mapping": "{data: task}"},
            cause=cause(),
        )
        make_due()
        deliver()
    assert states(there) == ["succeeded"] * 2
    assert [came.data["title"] for came in out.came] == ["with", "without"]


def test_a_test_shows_the_shape_with_a_sample(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url, mapping="{data: {text: task.title, type: type}}")
        ping_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        deliver()
    assert [came.data for came in out.came] == [{"text": SAMPLE_TASK["title"], "type": "ping"}]
    assert states(there) == ["succeeded"]
