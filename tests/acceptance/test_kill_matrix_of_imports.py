"""The kill matrix, imports: a worker killed with -9 in the middle of a file."""

from collections import Counter
from pathlib import Path

import pytest
from django.db import transaction

from tasks_app.actions.destination import pause_destination, resume_destination
from tasks_app.events.record import lock_heads
from tasks_app.exchange.step import STEP, advance
from tasks_app.models import Delivery, ImportChunk, ImportJob, Task, Workspace
from tests.support.engine import to
from tests.support.factories import cause, log
from tests.support.imports import begin
from tests.support.matrix import UNDER_WAY, has_left, locked, waits_for_a_lock
from tests.support.sink import sink
from tests.support.threads import until
from tests.support.worker import beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
ROWS = 2 * STEP + 50


def state_of(job: ImportJob) -> str:
    return ImportJob.objects.get(pk=job.pk).state


def is_taken(job: ImportJob) -> bool:
    """Tell whether somebody is in the middle of a step of the import."""
    row = ImportJob.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=job.pk)
    with transaction.atomic():
        return row.first() is None


def test_worker_killed_during_an_import_doubles_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Its step waits for the head of the log; another does the same step once more.

    The destination is paused until then, so that nothing else of a worker's waits for the head.
    """
    with sink() as out, beat(tmp_path):
        there = to(workspace, out.url, max_concurrency=50)
        pause_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        job = begin(workspace, b"title\n" + b"".join(b"row %d\n" % n for n in range(ROWS)))
        assert [advance(job.pk), advance(job.pk)] == [True, True]  # counted; the first rows taken
        with locked(lambda: lock_heads([workspace.pk])), worker(tmp_path, name="one") as first:
            until(lambda: is_taken(job) and waits_for_a_lock("worker"), "it is in a step")
            first.kill()
        until(lambda: has_left("worker"), "PostgreSQL has rolled it back")
        assert Task.objects.count() == STEP
        resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        with worker(tmp_path, name="two"):
            until(lambda: state_of(job) == "done", "it has ended", UNDER_WAY + 30)
            until(lambda: not Delivery.objects.unfinished().exists(), "all is delivered")
            until(lambda: not ImportChunk.objects.exists(), "its file is forgotten")
    job.refresh_from_db()
    assert (job.total, job.created, job.failed) == (ROWS, ROWS, 0)
    tasks = list(Task.objects.order_by("number").values_list("number", "title"))
    assert tasks == [(n + 1, f"row {n}") for n in range(ROWS)]
    created = [event.data["task"]["number"] for event in log(workspace) if "task" in event.data]
    assert Counter(event.type for event in log(workspace))["task_created"] == ROWS
    assert set(created) == set(range(1, ROWS + 1))
    told = [event.data["import"]["done"] for event in log(workspace) if "import" in event.data]
    assert told == sorted(told)
    assert told[-1] == ROWS
    assert len({came.id for came in out.came}) == ROWS
