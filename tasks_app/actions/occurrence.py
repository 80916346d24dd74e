"""Occurrences: what is due of schedules becomes tasks, in the transaction that moves them on.

A transaction that dies has made nothing and moved nothing; the next does the same. So each
occurrence comes once, however many sweeps there are: whoever makes it holds the schedule's row.
Lock order: the schedules' rows, then the head.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import connection, transaction

from tasks_app.actions.occurrence_error import PASSING, BadTimes, is_refused, words_of
from tasks_app.actions.task import task_event
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent, record_events
from tasks_app.events.snapshot import moment, schedule_snapshot
from tasks_app.models import Schedule, ScheduleOccurrence, ScheduleState, Task
from tasks_app.recurrence.calendar import Calendar, Occurrence
from tasks_app.recurrence.catch_up import STEP, Plan, plan

logger = logging.getLogger(__name__)

MOST: Final = 100  # tasks in one transaction, which holds the head of the log

_MOVE: Final = """
    UPDATE schedule s SET next_at = i.next_at, next_local = i.next_local, last_at = i.last_at,
        last_local = i.last_local, error = i.error, state = i.state
    FROM jsonb_to_recordset(%s::jsonb) AS i(id uuid, next_at timestamptz, next_local text,
        last_at timestamptz, last_local text, error text, state text)
    WHERE s.id = i.id
"""


@dataclass(slots=True)
class _Batch:
    """What a transaction will write."""

    tasks: list[Task] = field(default_factory=list)
    occurrences: list[ScheduleOccurrence] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)

    def write(self) -> None:
        """Write it; the log last."""
        Task.objects.bulk_create(self.tasks)
        ScheduleOccurrence.objects.bulk_create(self.occurrences)
        with connection.cursor() as cursor:
            cursor.execute(_MOVE, [orjson.dumps(self.moved).decode()])
        record_events(self.events)


def make_due(schedules: Sequence[Schedule], *, most: int = MOST, tries: int = 0) -> bool:
    """Make what is due of schedules of one workspace; read `with_now()`, rows and head locked.

    At most STEP occurrences of each, and ``most`` tasks: what is left is due still. What can't be
    made is noted on its schedule, told, and stops nothing else; what nobody foresaw only after
    ``tries`` in this process. Return whether anything moved on. Raises django.db.Error where the
    database was away, held up, or of another release: then nothing is wrong with any schedule.
    """
    try:
        return bool(_make(schedules, most).moved)
    except PASSING:
        raise
    except Exception:
        logger.info("schedules_one_by_one", exc_info=True, extra={"schedules": len(schedules)})
    moved = False
    for one in schedules:
        if most > 0:
            batch = _make_or_tell(one, most, tries)
            moved, most = moved or bool(batch.moved), most - len(batch.tasks)
    return moved


@transaction.atomic
def _make(schedules: Sequence[Schedule], most: int) -> _Batch:
    batch = _Batch()
    for schedule in schedules:
        left = most - len(batch.tasks)
        if left <= 0:
            break
        planned = due_of(schedule, most=left)
        batch.events += _missed(schedule, planned)
        for occurrence in planned.make:
            task = _task(schedule, occurrence)
            batch.tasks.append(task)
            batch.events.append(_told(schedule, task, occurrence))
            batch.occurrences.append(
                ScheduleOccurrence(schedule=schedule, at=occurrence.at, task_id=task.pk)
            )
        error = "" if planned.make else schedule.error
        batch.moved.append(_moved(schedule, planned, error=error))
    batch.write()
    return batch


def _make_or_tell(schedule: Schedule, most: int, tries: int) -> _Batch:
    try:
        return _make([schedule], most)
    except PASSING:
        raise
    except Exception as error:
        logger.warning("schedule_failed", exc_info=True, extra={"schedule": str(schedule.pk)})
        if not is_refused(schedule, error, tries):
            return _Batch()
        return _tell(schedule, error)


@transaction.atomic
def _tell(schedule: Schedule, error: Exception) -> _Batch:
    """Note why nothing was made, and go on; where no next time can be found, pause."""
    batch, detail = _Batch(), words_of(error)
    try:
        planned = due_of(schedule)
    except BadTimes:
        schedule.state, planned = ScheduleState.PAUSED, Plan([], None, None)
    batch.occurrences = [
        ScheduleOccurrence(schedule=schedule, at=one.at, error=detail)
        for one in planned.make
        if not _exists(schedule, one)
    ]
    batch.moved.append(_moved(schedule, planned, error=detail))
    schedule.error = detail
    failed = [moment(one.at) for one in planned.make]
    event = schedule_event(
        schedule, EventType.SCHEDULE_FAILED, cause_of(schedule), error=detail, occurrences=failed
    )
    batch.events = [*_missed(schedule, planned), event]
    batch.write()
    return batch


def _exists(schedule: Schedule, occurrence: Occurrence) -> bool:
    return ScheduleOccurrence.objects.filter(schedule=schedule, at=occurrence.at).exists()


def due_of(schedule: Schedule, *, most: int = STEP) -> Plan:
    """Return what to make of a schedule now. Raises BadExpression and UnknownZone.

    Where the zone's data of today puts the next occurrence elsewhere, it comes there.
    """
    calendar = Calendar(schedule.cron, schedule.time_zone)
    coming = next_of(schedule, calendar)
    if coming is None or coming.at > schedule.now:
        return Plan([], coming, None)
    return plan(calendar, coming, now=schedule.now, rule=schedule.catch_up, most=most)


def next_of(schedule: Schedule, calendar: Calendar) -> Occurrence | None:
    """Return the next occurrence that was not made: the row's, if the zone is as it was."""
    if schedule.next_at is not None and schedule.next_local:
        kept = Occurrence(schedule.next_at, datetime.fromisoformat(schedule.next_local))
        if calendar.holds(kept):
            return kept
    last = datetime.fromisoformat(schedule.last_local) if schedule.last_local else None
    return calendar.after(max(schedule.last_at or schedule.since, schedule.since), beyond=last)


def is_misplaced(schedule: Schedule) -> bool:
    """Tell whether the zone's data of today puts its next occurrence elsewhere."""
    try:
        coming = next_of(schedule, Calendar(schedule.cron, schedule.time_zone))
    except BadTimes:  # told when it is due
        return False
    return schedule.next_at != (coming.at if coming else None)


@transaction.atomic
def realign(schedule_id: uuid.UUID) -> None:
    """Put the next occurrence where the zone's data has it, unless somebody is at the schedule."""
    rows = Schedule.objects.filter(pk=schedule_id, next_at__isnull=False).with_now()
    schedule = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
    if schedule is None or not is_misplaced(schedule):
        return
    coming = next_of(schedule, Calendar(schedule.cron, schedule.time_zone))
    _Batch(moved=[_moved(schedule, Plan([], coming, None), error=schedule.error)]).write()


def cause_of(schedule: Schedule) -> Cause:
    """Return the schedule as the actor."""
    return Cause(kind="schedule", name=schedule.name, id=str(schedule.pk))


def schedule_event(schedule: Schedule, kind: EventType, cause: Cause, **data: Any) -> NewEvent:
    """Return the event that tells of a schedule as it is now."""
    return NewEvent(
        workspace_id=schedule.workspace_id,
        type=kind,
        cause=cause,
        data={"schedule": schedule_snapshot(schedule), **data},
    )


def _task(schedule: Schedule, occurrence: Occurrence) -> Task:
    fields = dict(schedule.template)
    due_in = fields.pop("due_in", None)
    due_at = None if due_in is None else occurrence.at + timedelta(seconds=due_in)
    task = Task(
        workspace_id=schedule.workspace_id, created_by=schedule.name, due_at=due_at, **fields
    )
    task.created_at = task.updated_at = schedule.now
    return task


def _told(schedule: Schedule, task: Task, occurrence: Occurrence) -> NewEvent:
    origin = {"id": str(schedule.pk), "name": schedule.name, "occurrence": moment(occurrence.at)}
    return task_event(task, EventType.TASK_CREATED, cause_of(schedule), schedule=origin)


def _missed(schedule: Schedule, planned: Plan) -> list[NewEvent]:
    if planned.skipped is None:
        return []
    begin, end = planned.skipped
    told = {"from": moment(begin), "before": moment(end)}
    return [schedule_event(schedule, EventType.SCHEDULE_MISSED, cause_of(schedule), missed=told)]


def _moved(schedule: Schedule, planned: Plan, *, error: str) -> dict[str, Any]:
    last = planned.make[-1] if planned.make else None
    coming = planned.coming
    return {
        "id": schedule.pk,
        "next_at": coming.at if coming else None,
        "next_local": wall(coming.local) if coming else "",
        "last_at": last.at if last else schedule.last_at,
        "last_local": wall(last.local) if last else schedule.last_local,
        "error": error,
        "state": schedule.state,
    }


def wall(local: datetime) -> str:
    """Return a time on the wall as the row keeps it."""
    return local.isoformat(timespec="minutes")
