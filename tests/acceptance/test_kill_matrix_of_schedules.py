"""The kill matrix, schedules: the worker that makes a task is killed with -9 before its commit.

The point is forced by a lock in PostgreSQL: the task is written and its event is being recorded,
which waits for the counter of a destination. docs/guarantees.md lists the row.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from tasks_app.models import DestinationCounter, Task, Workspace
from tests.support.engine import to
from tests.support.factories import log
from tests.support.matrix import UNDER_WAY, beats, has_left, locked, waits_for_a_lock
from tests.support.schedules import SELDOM, came, created, schedule, times
from tests.support.sink import sink
from tests.support.threads import until
from tests.support.worker import beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_worker_killed_while_it_makes_a_task_of_a_schedule_doubles_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """With two beats; a worker's two children sweep at once."""
    with sink() as out, beat(tmp_path), beat(tmp_path, name="second-beat"):
        there = to(workspace, out.url)
        leaping = schedule(workspace, cron=SELDOM)
        counter = DestinationCounter.objects.select_for_update().filter(pk=there.pk)
        with worker(tmp_path, name="one") as first:
            until(lambda: beats(first), "the worker lives")
            with locked(lambda: list(counter)):
                came(leaping, ago=timedelta(minutes=1))
                until(lambda: waits_for_a_lock("worker"), "it records the task")
                assert Task.objects.count() == 0  # nothing half-written is visible
                first.kill()
        until(lambda: has_left("worker"), "PostgreSQL has rolled it back")
        with worker(tmp_path, name="two"):
            until(lambda: len(out.came) > 0, "another makes it", UNDER_WAY + 10)
            until(lambda: told_of(workspace) == 3, "its delivery is settled", UNDER_WAY)
    assert len(times(leaping)) == len(created(workspace)) == Task.objects.count() == 1
    assert [came.data["actor"]["kind"] for came in out.came] == ["schedule"]


def told_of(workspace: Workspace) -> int:
    """Count the events from the schedule's on: made, task created, synced."""
    return len([e for e in log(workspace) if not e.type.startswith("destination")])
