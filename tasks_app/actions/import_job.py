"""Imports: take a file in parts, begin once it is whole, cancel.

A worker walks it (exchange/step.py). Lock order: the import's row, then those of tasks, then the
head.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from tasks_app.events.cause import Cause
from tasks_app.events.import_progress import import_progress
from tasks_app.events.record import record_event
from tasks_app.exceptions import ImportOver, NotFound, TooManyImports
from tasks_app.models import ImportChunk, ImportJob, ImportState

AT_ONCE: Final = 5  # of a workspace, under way or coming in
LOCK: Final = 0x1409  # pg_advisory, with the workspace beside it: who counts counts alone


@transaction.atomic
def open_import(*, workspace_id: uuid.UUID, cause: Cause) -> ImportJob:
    """Make room for a file that is about to come in.

    Raises TooManyImports where the workspace has too many under way.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, str(workspace_id)])
    rows = ImportJob.objects.filter(workspace_id=workspace_id, ended_at=None)
    if rows.count() >= AT_ONCE:
        raise TooManyImports
    return ImportJob.objects.create(
        workspace_id=workspace_id, actor=cause.actor, request_id=cause.request_id
    )


@transaction.atomic
def keep_part(*, job_id: uuid.UUID, number: int, data: bytes) -> None:
    """Keep a part of the file. Raises NotFound where the room was taken back meanwhile."""
    rows = ImportJob.objects.filter(pk=job_id, state="receiving", ended_at=None)
    if not rows.update(size=F("size") + len(data), told_at=Now()):
        raise NotFound
    ImportChunk.objects.create(job_id=job_id, number=number, data=data)


def drop_import(*, job_id: uuid.UUID) -> None:
    """Forget a file that never became whole, or that was refused."""
    ImportJob.objects.filter(pk=job_id, state="receiving").delete()


@transaction.atomic
def begin_import(
    *,
    job_id: uuid.UUID,
    file_format: str,
    filename: str,
    dry_run: bool,
    delimiter: str,
    columns: Sequence[str],
    start: int,
    lines: int,
    cause: Cause,
) -> ImportJob:
    """Hand a whole file to the workers; rows begin ``start`` bytes and ``lines`` lines into it.

    Raises NotFound where the room was taken back meanwhile.
    """
    rows = ImportJob.objects.filter(pk=job_id, state="receiving", ended_at=None)
    found = rows.select_for_update(no_key=True).first()
    if found is None:
        raise NotFound
    found.format, found.filename, found.dry_run = file_format, filename, dry_run
    found.delimiter, found.columns = delimiter, list(columns)
    found.start = found.offset = start
    found.start_line = found.line = lines
    found.state = ImportState.RUNNING
    found.save()
    record_event(import_progress(found, cause))
    return found


@transaction.atomic
def cancel_import(*, workspace_id: uuid.UUID, import_id: uuid.UUID, cause: Cause) -> ImportJob:
    """Take no more rows of the file; what was taken stays.

    Raises NotFound, and ImportOver where nothing is left to stop.
    """
    rows = ImportJob.objects.in_workspace(workspace_id).select_for_update(no_key=True)
    job = rows.filter(pk=import_id).first()
    if job is None:
        raise NotFound
    if job.state != ImportState.RUNNING:
        raise ImportOver
    job.state, job.reason, job.ended_at = ImportState.CANCELLED, "by_hand", Now()
    job.save()
    job.refresh_from_db()
    record_event(import_progress(job, cause))
    return job
