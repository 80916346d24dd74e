"""Imports, walked by whichever worker the bell wakes, for a slice of time at each ring.

A slice is short, because the children of a worker also sweep and deliver. Imports of all workspaces
take turns, and one that is held up, or whose steps go wrong, keeps no other from its own.

A step is counted before it runs, in a transaction of its own, because what goes wrong may be the
end of the process: a row that exhausts its memory leaves nobody to count it afterwards.
"""

import logging
import time
import uuid
from typing import Final

from django.db import IntegrityError, close_old_connections, transaction
from django.db.models import F, Window
from django.db.models.functions import Now, Random, RowNumber

from tasks_app.actions.task import EXTERNAL_ID_TAKEN
from tasks_app.delivery.away import is_away, is_held_up
from tasks_app.events.import_progress import import_cause, import_progress
from tasks_app.events.record import record_event
from tasks_app.exchange.clear import forget_files
from tasks_app.exchange.step import advance
from tasks_app.models import ImportJob, ImportState

logger = logging.getLogger(__name__)

SLICE: Final = 1.0  # seconds of one ring
TROUBLES: Final = 5  # steps in a row without an end; then it is ours to look into


def import_some() -> int:
    """Walk imports that are under way for up to SLICE seconds; return how many steps moved."""
    close_old_connections()
    walking, moved = _walking(), 0
    ends = time.monotonic() + SLICE
    while walking and time.monotonic() < ends:
        walking = [pk for pk in walking if time.monotonic() < ends and _isolated(pk)]
        moved += len(walking)
    forget_files()
    return moved


def _walking() -> list[uuid.UUID]:
    """Return what to walk, by chance and the workspaces in turns."""
    turn = Window(RowNumber(), partition_by=F("workspace_id"), order_by=Random())
    rows = ImportJob.objects.under_way().annotate(turn=turn)
    return list(rows.order_by("turn", Random()).values_list("pk", flat=True))


def _isolated(job_id: uuid.UUID) -> bool:
    """Take a step; what goes wrong in one import is logged and stops no other."""
    try:
        return _begin(job_id) and advance(job_id)
    except Exception as error:
        if is_away(error):
            raise
        overtaken = _was_overtaken(error)
        if overtaken or is_held_up(error):
            _forgive(job_id)
        else:
            logger.exception("import_step_failed", extra={"import": str(job_id)})
        return overtaken


def _was_overtaken(error: Exception) -> bool:
    """Tell whether somebody has just made a task with a row's external id: now it is found."""
    return isinstance(error, IntegrityError) and EXTERNAL_ID_TAKEN[0] in str(error)


@transaction.atomic
def _begin(job_id: uuid.UUID) -> bool:
    """Count a step that is about to run, of which its end takes the count back.

    An import whose every step goes wrong, or ends its process, ends as failed and says so.
    """
    rows = ImportJob.objects.under_way().filter(pk=job_id)
    job = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
    if job is None:
        return False
    if job.trouble < TROUBLES:
        job.trouble += 1
        job.save(update_fields=["trouble"])
        return True
    job.state, job.reason, job.ended_at = ImportState.FAILED, "internal", Now()
    job.save()
    job.refresh_from_db()
    record_event(import_progress(job, import_cause(job)))
    return False


@transaction.atomic
def _forgive(job_id: uuid.UUID) -> None:
    """Take back what was counted: the step was only held up. Whoever is at it does so too."""
    rows = ImportJob.objects.filter(pk=job_id, trouble__gt=0)
    job = rows.select_for_update(no_key=True, skip_locked=True).first()
    if job is not None:
        job.trouble = 0
        job.save(update_fields=["trouble"])
