"""A step of an import: one transaction that takes some rows and moves the import on.

A step that is killed has not happened, and the next one does the same: no row is lost and none is
taken twice. First the rows are counted, by the same reading, then they are taken. A file that can't
be read to its end is found out by the counting, before anything is taken.

Locks: the import's row, then those of the tasks, then the head, shortly.
"""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction
from django.db.models.functions import Now

from tasks_app.events.import_progress import import_cause, import_progress
from tasks_app.events.new_event import NewEvent
from tasks_app.events.record import Recorded, record_events
from tasks_app.exceptions import FieldError
from tasks_app.exchange.apply import Applied, apply_rows
from tasks_app.exchange.file import records
from tasks_app.exchange.records import Record
from tasks_app.exchange.row import Row, row_reader
from tasks_app.models import ImportFault, ImportFormat, ImportJob, ImportState

STEP: Final = 100  # rows in one transaction: what a live change may have to wait for
STEP_BYTES: Final = 2 * 1024 * 1024
COUNTING_SECONDS: Final = 0.25
READING_SECONDS: Final = 1.0  # of one transaction; others wait for what it holds
FAULTS_KEPT: Final = 1000
TELL_EVERY: Final = 1.0  # seconds
PATIENCE: Final = "250"  # milliseconds; for whoever holds a row or the head
WRONG_COUNT: Final = "wrong_number_of_cells"


@transaction.atomic
def advance(job_id: uuid.UUID) -> bool:
    """Take one step; tell whether another would find something to do at once.

    Raises OperationalError where a lock is held for longer than a quarter of a second, and
    IntegrityError where somebody else has just made a task with a row's external id.
    """
    rows = ImportJob.objects.under_way().filter(pk=job_id).annotate(now=Now())
    job = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
    if job is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
    if job.total is None:
        _count(job)
        events: list[NewEvent] = []
    else:
        events = _take(job)
    job.trouble = 0
    told = _progress(job)
    job.save()
    _record(job, [*events, *told])
    return job.state == ImportState.RUNNING


def _count(job: ImportJob) -> None:
    """Count rows for a while; at the end of the file begin anew, now to take them."""
    ends = time.monotonic() + COUNTING_SECONDS
    for record in records(job):
        if record.lost:
            _lose(job, record)
            return
        _pass(job, record)
        if time.monotonic() > ends:
            return
    job.total, job.row = job.row, 0
    job.offset, job.line = job.start, job.start_line


def _lose(job: ImportJob, record: Record) -> None:
    """End an import whose file can't be told apart into rows from here on."""
    code, detail = record.wrong or ("", "")
    job.faults.create(row=job.row + 1, line=job.line + 1, code=code, detail=detail)
    job.state, job.reason, job.ended_at = ImportState.FAILED, code, _now(job)


def _pass(job: ImportJob, record: Record) -> None:
    """Move behind a record."""
    job.offset += record.size
    job.line += record.lines
    job.row += not record.is_blank


def _take(job: ImportJob) -> list[NewEvent]:
    """Take the next rows; return the events of what they have changed."""
    found = _next(job)
    rows = [_read(job, place, record) for place, record in found if not record.is_blank]
    done = apply_rows(job, rows)
    for _, record in found:
        _pass(job, record)
    if not found:
        job.state, job.ended_at = ImportState.DONE, _now(job)
    _note(job, done)
    return [] if job.dry_run else done.events


def _next(job: ImportJob) -> list[tuple[tuple[int, int], Record]]:
    """Return the next records, each with the number and the line that it has as a row."""
    found: list[tuple[tuple[int, int], Record]] = []
    number, line, size = job.row, job.line, 0
    ends = time.monotonic() + READING_SECONDS
    for record in islice(records(job), STEP):
        number += not record.is_blank
        found.append(((number, line + 1), record))
        line, size = line + record.lines, size + record.size
        if size > STEP_BYTES or time.monotonic() > ends:
            break
    return found


def _read(job: ImportJob, place: tuple[int, int], record: Record) -> Row:
    number, line = place
    if record.wrong:
        return Row(number=number, line=line, errors=[FieldError("", *record.wrong)])
    if job.format == ImportFormat.NDJSON:
        fields, errors = row_reader()(bytes(record.content))  # type: ignore[arg-type]
        return Row(number=number, line=line, fields=fields, errors=errors)
    cells = [str(cell) for cell in record.content]
    if wrong := _misplaced(job.columns, cells):
        return Row(number=number, line=line, errors=[wrong])
    named = {name: cell for name, cell in zip(job.columns, cells, strict=True) if name}
    fields, errors = row_reader()(named)
    return Row(number=number, line=line, fields=fields, errors=errors)


def _misplaced(columns: Sequence[str], cells: Sequence[str]) -> FieldError | None:
    """Return what is wrong where cells are not those of the header."""
    if len(cells) != len(columns):
        detail = f"There are {len(cells)} cells under {len(columns)} columns."
        return FieldError("", WRONG_COUNT, detail)
    if any(cell and not name for name, cell in zip(columns, cells, strict=True)):
        return FieldError("", "cell_without_column", "A cell stands under no name.")
    return None


def _note(job: ImportJob, done: Applied) -> None:
    """Count what became of the rows, and keep the first things that are wrong."""
    job.created += done.created
    job.updated += done.updated
    job.unchanged += done.unchanged
    job.failed += done.failed
    room = FAULTS_KEPT - (job.faults.count() if done.faults else 0)
    ImportFault.objects.bulk_create(
        ImportFault(
            job=job,
            row=row.number,
            line=row.line,
            pointer=error.pointer,
            code=error.code,
            detail=error.detail,
        )
        for row, error in done.faults[: max(room, 0)]
    )


def _progress(job: ImportJob) -> list[NewEvent]:
    """Tell of the end at once, of numbers at most once a second."""
    is_over = job.state != ImportState.RUNNING
    if not is_over and (_now(job) - job.told_at).total_seconds() < TELL_EVERY:
        return []
    job.told_at = _now(job)
    return [import_progress(job, import_cause(job))]


def _record(job: ImportJob, events: Sequence[NewEvent]) -> None:
    """Write events; what they send goes behind all that is live, as replays do."""
    recorded: Sequence[Recorded] = record_events(events)
    if recorded:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT aftercommit_stand_behind(%s, %s, %s)",
                [job.workspace_id, recorded[0].seq, recorded[-1].seq],
            )


def _now(job: ImportJob) -> datetime:
    """Return the database's time at which the import was read."""
    now: Any = job.now  # type: ignore[attr-defined]
    return now  # type: ignore[no-any-return]
