"""Two sweeps, a change and a sweep, a workspace that is held up: each time comes once, forced."""

import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection

from tasks_app import recurring
from tasks_app.actions.schedule import change_schedule, delete_schedule, pause_schedule
from tasks_app.events.record import lock_heads
from tasks_app.models import DestinationCounter, Schedule, Task, Workspace
from tasks_app.recurring import BATCH, make_scheduled
from tests.support import factories
from tests.support.factories import cause
from tests.support.matrix import locked
from tests.support.schedules import SELDOM, came, created, schedule, times, told
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)
MINUTELY = "* * * * *"


def test_two_sweeps_at_once_make_it_once(workspace: Workspace) -> None:
    """The first has made the task and waits in the middle of its record; the second comes by."""
    there = factories.destination(workspace)
    every = schedule(workspace, cron=SELDOM)
    came(every)
    pids: list[int] = []

    def sweep() -> None:
        pids.append(backend_pid())
        make_scheduled()

    counter = DestinationCounter.objects.select_for_update().filter(pk=there.pk)
    with locked(lambda: list(counter)):
        first = in_thread(sweep)
        until(lambda: bool(pids), "it has begun")
        until_blocked(pids[0])
        make_scheduled()
        assert created(workspace) == []
    first.result(DEADLINE)
    make_scheduled()
    assert len(created(workspace)) == len(times(every)) == Task.objects.count() == 1


def test_many_sweeps_at_once_make_each_once(workspace: Workspace) -> None:
    every = [schedule(workspace, cron=MINUTELY) for _ in range(30)]
    came(*every, ago=timedelta(minutes=3))
    for sweep in [in_thread(make_scheduled) for _ in range(4)]:
        sweep.result(DEADLINE)
    make_scheduled()
    assert all(len(times(one)) in {4, 5} for one in every)
    assert len(created(workspace)) == Task.objects.count() == sum(len(times(o)) for o in every)
    numbers = Task.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("verb", ["change", "pause", "delete"])
def test_a_change_and_a_sweep_at_once_make_it_once(workspace: Workspace, verb: str) -> None:
    """The sweep is at it: the change waits for it, and finds nothing due."""
    there = factories.destination(workspace)
    every = schedule(workspace, cron=SELDOM)
    came(every)
    pids: list[int] = []

    def alter() -> None:
        pids.append(backend_pid())
        if verb == "delete":
            delete_schedule(workspace_id=workspace.pk, schedule_id=every.pk, cause=cause())
        elif verb == "pause":
            pause_schedule(workspace_id=workspace.pk, schedule_id=every.pk, cause=cause())
        else:
            change_schedule(
                workspace_id=workspace.pk,
                schedule_id=every.pk,
                fields={"cron": "@daily"},
                cause=cause(),
            )

    counter = DestinationCounter.objects.select_for_update().filter(pk=there.pk)
    with locked(lambda: list(counter)):
        sweep = in_thread(make_scheduled)
        until(lambda: _is_held(every), "the sweep is at it")
        change = in_thread(alter)
        until(lambda: bool(pids), "the change has begun")
        until_blocked(pids[0])
    sweep.result(DEADLINE)
    change.result(DEADLINE)
    make_scheduled()
    assert [event.type for event in created(workspace)] == ["task_created"]
    assert Task.objects.count() == 1


def _is_held(one: Schedule) -> bool:
    rows = "SELECT 1 FROM schedule WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"
    with connection.cursor() as cursor:
        cursor.execute(rows, [one.pk])
        return cursor.fetchone() is None


def test_a_workspace_that_is_held_up_keeps_no_other_waiting(workspace: Workspace) -> None:
    held, free = (schedule(of, cron=SELDOM) for of in (workspace, factories.workspace()))
    came(held, free)
    with locked(lambda: lock_heads([workspace.pk])):
        make_scheduled()
        assert [len(times(one)) for one in (held, free)] == [0, 1]
    make_scheduled()
    assert len(times(held)) == 1
    assert list(told(workspace, "schedule_failed")) == []


def test_a_schedule_whose_row_is_held_keeps_no_other_waiting(workspace: Workspace) -> None:
    held, free = (schedule(workspace, cron=SELDOM) for _ in range(2))
    came(held, free)
    row = Schedule.objects.select_for_update().filter(pk=held.pk)
    with locked(lambda: list(row)):
        make_scheduled()
        assert [len(times(one)) for one in (held, free)] == [0, 1]
    make_scheduled()
    assert len(times(held)) == 1


def test_a_flood_of_one_workspace_leaves_others_their_turn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every workspace has a turn before one has a second."""
    turns: list[uuid.UUID] = []
    real = recurring._turn

    def watched(pk: uuid.UUID, heads: recurring.Heads) -> recurring.Turn:
        turns.append(pk)
        return real(pk, heads)

    monkeypatch.setattr(recurring, "_turn", watched)
    monkeypatch.setattr(recurring, "SLICE", DEADLINE)
    few = schedule(factories.workspace(), cron=SELDOM)
    came(*flooded(workspace, 3 * BATCH), few)
    make_scheduled()
    assert set(turns[:2]) == {workspace.pk, few.workspace_id}
    assert len(times(few)) == 1
    assert Task.objects.in_workspace(workspace.pk).count() == 3 * BATCH


def test_a_sweep_ends_when_its_time_is_over(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "SLICE", 0.0)  # one turn
    came(*flooded(workspace, 2 * BATCH))
    make_scheduled()
    assert Task.objects.count() == BATCH
    make_scheduled()
    assert Task.objects.count() == 2 * BATCH


def test_a_thousand_schedules_at_once_are_all_made_within_a_few_sweeps(
    workspace: Workspace,
) -> None:
    flood = flooded(workspace, 1000)
    came(*flood)
    sweeps, longest = 0, 0.0
    while Schedule.objects.due().exists():
        began = time.monotonic()
        make_scheduled()
        longest = max(longest, time.monotonic() - began)
        sweeps += 1
    print(f"1000 schedules in {sweeps} sweeps, the longest {longest:.2f} s")
    assert sweeps < 100
    assert Task.objects.count() == 1000
    assert len(created(workspace)) == 1000


def flooded(of: Workspace, count: int) -> list[Schedule]:
    """Return many schedules at once."""
    one = {"cron": SELDOM, "time_zone": "UTC", "template": {"title": "t"}, "created_by": "a"}
    return Schedule.objects.bulk_create(
        Schedule(workspace=of, name=f"{of.slug}-{n}", **one) for n in range(count)
    )
