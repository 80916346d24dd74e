"""However much waits, another ``after`` and a resumption are small; the sweep does the rest."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from tasks_app.actions import chain as chain_module
from tasks_app.actions.destination import (
    change_destination,
    delete_destination,
    pause_destination,
    resume_destination,
)
from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import freeing
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.delivery.sweep import sweep
from tasks_app.models import Delivery, Destination, DestinationCounter, Workspace
from tests.races.test_sweeps_held_up import held
from tests.support import factories
from tests.support.engine import states, to
from tests.support.factories import cause

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
FAILED = Outcome(verdict=Verdict.FAILED, status_code=500, phases={}, duration_ms=1.0)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "BATCH", 2)
    monkeypatch.setattr(freeing, "BATCH", 2)


def chained(of: Workspace, tasks: int) -> tuple[Destination, Destination]:
    first = to(of, NOWHERE, name="first", retry_schedule=[])
    second = to(of, NOWHERE, name="second", after=first.pk)
    for _ in range(tasks):
        create_task(workspace_id=of.pk, fields={"title": "t"}, cause=cause())
    return first, second


def leave(destination: Destination) -> None:
    change_destination(
        workspace_id=destination.workspace_id,
        destination_id=destination.pk,
        fields={"after": None},
        cause=cause(),
    )


def test_the_request_lets_one_batch_go_and_the_sweep_the_rest(workspace: Workspace) -> None:
    _, second = chained(workspace, 7)
    leave(second)
    assert states(second) == ["pending"] * 2 + ["waiting"] * 5
    assert freeing.let_some_go() == 2
    assert states(second) == ["pending"] * 4 + ["waiting"] * 3
    sweep()
    assert states(second) == ["pending"] * 7
    assert not DestinationCounter.objects.filter(freed_to__gt=0).exists()
    assert freeing.let_some_go() == 0


def test_what_comes_later_waits_for_its_new_chain(workspace: Workspace) -> None:
    first, second = chained(workspace, 3)
    leave(second)
    change_destination(
        workspace_id=workspace.pk,
        destination_id=second.pk,
        fields={"after": first.pk},
        cause=cause(),
    )
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())
    sweep()
    assert states(second) == ["pending"] * 3 + ["waiting"]


def test_what_is_not_yet_let_go_keeps_the_order_of_its_task(workspace: Workspace) -> None:
    _, second = chained(workspace, 3)
    task = Delivery.objects.filter(destination=second).earliest("sequence").task_id
    assert task is not None
    update_task(workspace_id=workspace.pk, task_id=task, fields={"title": "b"}, cause=cause())
    leave(second)
    sweep()
    assert states(second) == ["pending"] * 3 + ["waiting"]


def test_what_is_free_is_not_torn_down_with_its_old_chain(workspace: Workspace) -> None:
    """It fails, and is deleted, before the sweep came to them."""
    first, second = chained(workspace, 7)
    leave(second)
    rows = [row for row in lease(worker="w", wanted=9) if row.destination_id == first.pk]
    settle([Ended(row, FAILED) for row in rows])
    delete_destination(workspace_id=workspace.pk, destination_id=first.pk, cause=cause())
    sweep()
    assert set(states(first)) == {"dead", "cancelled"}
    assert "cancelled" not in states(second)
    sweep()
    assert "waiting" not in states(second)


def test_a_workspace_that_is_held_up_keeps_no_other_waiting(workspace: Workspace) -> None:
    _, theirs = chained(workspace, 5)
    _, ours = chained(factories.workspace(), 5)
    leave(theirs)
    leave(ours)
    with held(workspace):
        sweep()
        assert states(ours) == ["pending"] * 5
        assert states(theirs) == ["pending"] * 2 + ["waiting"] * 3
    sweep()
    assert states(theirs) == ["pending"] * 5


def test_a_resumption_touches_no_delivery_and_yet_counts_their_age_anew(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())
    settle([Ended(row, FAILED) for row in lease(worker="w", wanted=9)])
    rows = Delivery.objects.filter(destination=there)
    rows.update(trying_since=F("trying_since") - timedelta(days=5))
    chosen: dict[str, Any] = {"workspace_id": workspace.pk, "destination_id": there.pk}
    pause_destination(**chosen, cause=cause())
    with CaptureQueriesContext(
        connection,
    ) as asked:
        resume_destination(**chosen, cause=cause())
    assert not [one for one in asked.captured_queries if 'UPDATE "delivery"' in one["sql"]]
    assert age_when_leased() == 0
    rows.update(trying_since=F("trying_since") + timedelta(seconds=1))
    assert age_when_leased() < 0  # it began after the resumption: so it stays


def age_when_leased() -> float:
    Delivery.objects.update(state="pending", claim_id=None, next_attempt_at="2020-01-01T00:00:00Z")
    (row,) = lease(worker="w", wanted=9)
    return row.age
