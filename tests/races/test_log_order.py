"""`seq` is dense and in commit order, whoever was first to begin."""

import threading
from collections import Counter
from functools import partial

import pytest
from django.db import transaction

from tasks_app.actions.task import create_task, update_task
from tasks_app.events.record import lock_heads
from tasks_app.models import Delivery, Event, Task, Workspace
from tests.support import factories
from tests.support.factories import cause
from tests.support.threads import DEADLINE, backend_pid, in_thread, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_reader_never_sees_seq_2_before_seq_1(workspace: Workspace) -> None:
    """The fault of a bare sequence: T1 draws 1, T2 draws 2 and commits, a reader skips 1."""
    pids: list[int] = []
    drawn, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            create_task(workspace_id=workspace.pk, fields={"title": "slow"}, cause=cause())
            drawn.set()
            assert may_commit.wait(DEADLINE)

    def quick() -> None:
        pids.append(backend_pid())
        create_task(workspace_id=workspace.pk, fields={"title": "quick"}, cause=cause())

    first = in_thread(slow)
    assert drawn.wait(DEADLINE)
    second = in_thread(quick)
    while not pids:
        pass
    until_blocked(pids[0])
    assert not Event.objects.in_workspace(workspace.pk).exists()
    may_commit.set()
    first.result(DEADLINE)
    second.result(DEADLINE)
    told = [(event.seq, event.data["task"]["title"]) for event in factories.log(workspace)]
    assert told == [(1, "slow"), (2, "quick")]


def test_many_writers_leave_no_hole_and_no_double(workspace: Workspace) -> None:
    factories.destination(workspace)
    task = create_task(workspace_id=workspace.pk, fields={"title": "shared"}, cause=cause())

    def write(writer: int) -> None:
        for turn in range(10):
            fields = {"title": f"{writer}.{turn}"}
            create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
            update_task(workspace_id=workspace.pk, task_id=task.pk, fields=fields, cause=cause())

    for future in [in_thread(partial(write, writer)) for writer in range(6)]:
        future.result(60)
    events = factories.log(workspace)
    assert [event.seq for event in events] == list(range(1, 122))
    shared = [e.data["task"]["version"] for e in events if e.task_id == task.pk]
    assert shared == list(range(1, 62))
    numbers = Task.objects.in_workspace(workspace.pk).values_list("number", flat=True)
    assert set(numbers) == set(range(1, 62))
    assert len(numbers) == 61
    rows = Delivery.objects.in_workspace(workspace.pk).order_by("sequence")
    assert [row.sequence for row in rows] == list(range(1, 122))
    assert [row.event_seq for row in rows] == list(range(1, 122))
    assert Counter(row.state for row in rows if row.task_id == task.pk) == {
        "pending": 1,
        "waiting": 60,
    }


def test_a_delivery_that_ends_while_a_change_waits_for_the_head_leaves_nothing_stuck(
    workspace: Workspace,
) -> None:
    """A change that began before the end of the earlier delivery still sees that it ended."""
    factories.destination(workspace)
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    pids: list[int] = []

    def change() -> None:
        pids.append(backend_pid())
        fields = {"title": "Two"}
        update_task(workspace_id=workspace.pk, task_id=task.pk, fields=fields, cause=cause())

    with transaction.atomic():
        lock_heads([workspace.pk])
        changing = in_thread(change)
        while not pids:
            pass
        until_blocked(pids[0])
        first = Delivery.objects.get(event_seq=1, workspace_id=workspace.pk)
        first.state, first.ended_at = "succeeded", first.created_at
        first.save()
    changing.result(DEADLINE)
    assert Delivery.objects.get(event_seq=2, workspace_id=workspace.pk).state == "pending"
