"""Two bulks of one workspace never lock each other out, nor do a bulk and single requests."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db import transaction

from tasks_app.actions import bulk
from tasks_app.actions.bulk import change_tasks
from tasks_app.actions.bulk_plan import Done, Op, Operation
from tasks_app.actions.task import create_task, update_task
from tasks_app.events.record import lock_heads
from tasks_app.exceptions import Invalid
from tasks_app.models import Task, Workspace
from tests.support import factories
from tests.support.factories import cause
from tests.support.matrix import locked
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bulk wait for as long as its turn takes here."""
    monkeypatch.setattr(bulk, "PATIENCE", 20_000)


def new(name: str | None, title: str = "t") -> Operation:
    return Operation(op=Op.CREATE, fields={"title": title, "external_id": name})


def change(task: Task, title: str) -> Operation:
    return Operation(op=Op.UPDATE, task_id=task.pk, fields={"title": title})


def run(workspace: Workspace, *operations: Operation) -> list[Done]:
    return change_tasks(workspace_id=workspace.pk, operations=operations, cause=cause())


def single(workspace: Workspace, name: str | None = None) -> Task:
    fields = {"title": "single", "external_id": name}
    return create_task(workspace_id=workspace.pk, fields=fields, cause=cause())


def started(work: Callable[[], Any]) -> "Future[Any]":
    """Run in a thread until it waits for a lock."""
    pids: list[int] = []

    def noted() -> Any:
        pids.append(backend_pid())
        return work()

    running = in_thread(noted)
    until(lambda: bool(pids), "it has a connection")
    until_blocked(pids[0])
    return running


def test_bulks_that_take_the_same_external_ids_in_turn_come_one_after_the_other(
    workspace: Workspace,
) -> None:
    """The first has taken A and is held up before B, while the other would take B and then A."""
    with transaction.atomic():
        single(workspace, "M")
        first = started(partial(run, workspace, new("A"), new("M"), new("B")))
        second = started(partial(run, workspace, new("B"), new("A")))
        transaction.set_rollback(True)
    assert len(first.result(DEADLINE)) == 3
    with pytest.raises(Invalid) as refusal:
        second.result(DEADLINE)
    pointers = [error.pointer for error in refusal.value.errors]
    assert pointers == ["/operations/0/external_id", "/operations/1/external_id"]
    assert len(factories.log(workspace)) == 3


def test_an_id_that_a_single_request_takes_meanwhile_is_refused_by_its_index(
    workspace: Workspace,
) -> None:
    with transaction.atomic():
        single(workspace, "M")
        waiting = started(partial(run, workspace, new("A"), new("M")))
    with pytest.raises(Invalid) as refusal:
        waiting.result(DEADLINE)
    assert [e.pointer for e in refusal.value.errors] == ["/operations/1/external_id"]
    assert Task.objects.get().external_id == "M"


def test_a_bulk_and_single_changes_of_its_tasks_wait_in_a_line_and_not_in_a_circle(
    workspace: Workspace,
) -> None:
    one, two = (single(workspace) for _ in range(2))

    def alone(task: Task) -> Task:
        at: dict[str, Any] = {"workspace_id": workspace.pk, "task_id": task.pk, "cause": cause()}
        return update_task(**at, fields={"title": "alone"})

    with locked(lambda: lock_heads([workspace.pk])):
        running = [
            started(partial(alone, two)),
            started(partial(run, workspace, change(two, "bulk"), change(one, "bulk"))),
            started(partial(alone, one)),
        ]
    for future in running:
        future.result(DEADLINE)
    assert {task.version for task in Task.objects.all()} == {3}
    assert [event.seq for event in factories.log(workspace)] == [1, 2, 3, 4, 5, 6]


def test_many_bulks_in_any_order_leave_no_hole(workspace: Workspace) -> None:
    tasks = [single(workspace, f"E{number}") for number in range(12)]

    def write(writer: int) -> None:
        shuffled = Random(writer)
        for turn in range(4):
            order = shuffled.sample(tasks, len(tasks))
            run(workspace, *(change(task, f"{writer}.{turn}") for task in order))

    for future in [in_thread(partial(write, writer)) for writer in range(4)]:
        future.result(60)
    assert {task.version for task in Task.objects.all()} == {17}
    seqs = [event.seq for event in factories.log(workspace)]
    assert seqs == list(range(1, 12 * 17 + 1))
