"""Lost turns and chains are found however many deliveries are open, a stretch at a time."""

from typing import Any

import pytest

from tasks_app.actions.task import create_task, update_task
from tasks_app.delivery import belts
from tasks_app.models import Delivery, Destination, Workspace
from tests.support.engine import to
from tests.support.factories import cause

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
TASKS = 5
ENDED: dict[str, Any] = {"state": "cancelled", "ended_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belts, "STRETCH", 3)
    monkeypatch.setattr(belts, "_turns", belts.Walk())
    monkeypatch.setattr(belts, "_chains", belts.Walk())


def queues(workspace: Workspace, there: Destination) -> None:
    """Make queues of two, from the heads of which the turn is lost."""
    for number in range(TASKS):
        task = create_task(workspace_id=workspace.pk, fields={"title": "a"}, cause=cause())
        chosen: dict[str, Any] = {
            "workspace_id": workspace.pk,
            "task_id": task.pk,
            "cause": cause(),
        }
        update_task(**chosen, fields={"title": f"b{number}"})
    Delivery.objects.filter(destination=there).update(state="waiting")


def test_lost_turns_are_found_in_every_stretch_and_nobody_else_gets_one(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    queues(workspace, there)
    for _ in range(TASKS):  # ten deliveries are four stretches
        belts.give_stuck_turns()
    rows = Delivery.objects.filter(destination=there).order_by("sequence")
    assert list(rows.values_list("state", flat=True)) == ["pending", "waiting"] * TASKS


def test_a_stretch_is_all_that_is_looked_at_at_once(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    queues(workspace, there)
    belts.give_stuck_turns()
    assert Delivery.objects.filter(destination=there, state="pending").count() == 2


def test_lost_chains_are_found_in_every_stretch(workspace: Workspace) -> None:
    first = to(workspace, NOWHERE, name="first")
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    for _ in range(TASKS):
        create_task(workspace_id=workspace.pk, fields={"title": "a"}, cause=cause())
    Delivery.objects.filter(destination=first).update(**ENDED)
    found = sum(belts.follow_lost_chains() for _ in range(3))
    assert found == TASKS
    assert set(Delivery.objects.filter(destination=second).values_list("state", "error")) == {
        ("cancelled", "chain_broken")
    }
