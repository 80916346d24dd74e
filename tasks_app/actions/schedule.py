"""Schedules: create, change, delete, pause, resume.

Each is one transaction that ends in the log. What was due before a change is made before it, by the
settings that were in force; what a changed or resumed schedule makes begins with the next time.
"""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from tasks_app.actions.echoed import NOTHING, differ, refuse_changed
from tasks_app.actions.occurrence import make_due, schedule_event, wall
from tasks_app.actions.taken import refused_where_taken
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import lock_heads, record_event
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import FieldError, Invalid, LimitReached, NotFound, StaleVersion
from tasks_app.models import Schedule, ScheduleState
from tasks_app.recurrence.calendar import Calendar, Occurrence, UnknownZone
from tasks_app.recurrence.expression import BadExpression, parse

Versions = int | Collection[int] | None
#: Steps of what was due that a change waits for; what is more was missed, and is told.
STEPS: Final = 10
SCHEDULES_MAX: Final = 1000  # of a workspace, paused ones too
TIMING: Final = frozenset({"cron", "time_zone"})

_NAME_TAKEN: Final = ("schedule_name_once", "/name", "Another schedule has this name.")


def calendar_of(*, cron: str, time_zone: str) -> Calendar:
    """Return when a schedule would come. Raises Invalid, with both errors where both are bad."""
    errors: list[FieldError] = []
    try:
        parse(cron)
    except BadExpression as error:
        errors.append(FieldError("/cron", error.code, error.detail))
    try:
        Calendar("@daily", time_zone)
    except UnknownZone:
        detail = "There is no such time zone: take a name such as Europe/Berlin."
        errors.append(FieldError("/time_zone", "unknown_time_zone", detail))
    if errors:
        raise Invalid(errors=tuple(errors))
    return Calendar(cron, time_zone)


def clock() -> datetime:
    """Return the database's time, which alone decides what is due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def create_schedule(
    *, workspace_id: uuid.UUID, fields: Mapping[str, Any], cause: Cause
) -> Schedule:
    """Create a schedule; its first task comes at its next time.

    Raises Invalid where the name is taken, or the expression or the zone is none, and LimitReached
    where there are 1,000 already.
    """
    schedule = Schedule(workspace_id=workspace_id, created_by=cause.name, **fields)
    calendar = calendar_of(cron=schedule.cron, time_zone=schedule.time_zone)
    with refused_where_taken(*_NAME_TAKEN), transaction.atomic():
        now = clock()
        schedule.created_at = schedule.updated_at = schedule.since = now
        _aim(schedule, calendar.after(now))
        schedule.save(force_insert=True)
        _refuse_one_more(workspace_id)
        record_event(schedule_event(schedule, EventType.SCHEDULE_CREATED, cause))
    return schedule


def change_schedule(
    *,
    workspace_id: uuid.UUID,
    schedule_id: uuid.UUID,
    fields: Mapping[str, Any],
    cause: Cause,
    if_version: Versions = None,
    echoed: Mapping[str, Any] = NOTHING,
) -> Schedule:
    """Change a schedule; of ``template`` only what is given. Other times count from now on.

    Raises NotFound, StaleVersion, and Invalid where the name is taken, the expression or the zone
    is none, or a read-only field that the caller sent back differs.
    """
    with refused_where_taken(*_NAME_TAKEN), transaction.atomic():
        schedule = _locked(workspace_id, schedule_id, if_version)
        refuse_changed(_read_only(schedule), echoed)
        given = dict(fields)
        if "template" in given:
            given["template"] = {**schedule.template, **given["template"]}
        changed = sorted(n for n, v in given.items() if differ(getattr(schedule, n), v))
        for name in changed:
            setattr(schedule, name, given[name])
        if TIMING & set(changed):
            _retime(schedule)
        if changed:
            schedule.error = "" if {"template", *TIMING} & set(changed) else schedule.error
            _save(schedule, EventType.SCHEDULE_CHANGED, cause, changed=changed)
    return schedule


@transaction.atomic
def pause_schedule(
    *, workspace_id: uuid.UUID, schedule_id: uuid.UUID, cause: Cause, if_version: Versions = None
) -> Schedule:
    """Make no tasks until it is resumed. Raises NotFound and StaleVersion."""
    schedule = _locked(workspace_id, schedule_id, if_version)
    if schedule.state != ScheduleState.PAUSED:
        schedule.state = ScheduleState.PAUSED
        _aim(schedule, None)
        _save(schedule, EventType.SCHEDULE_PAUSED, cause)
    return schedule


@transaction.atomic
def resume_schedule(
    *, workspace_id: uuid.UUID, schedule_id: uuid.UUID, cause: Cause, if_version: Versions = None
) -> Schedule:
    """Make tasks again from the next time on; what came while it was paused is not made.

    Raises NotFound, StaleVersion, and Invalid where its time zone is gone.
    """
    schedule = _locked(workspace_id, schedule_id, if_version)
    if schedule.state != ScheduleState.ACTIVE:
        schedule.state, schedule.error = ScheduleState.ACTIVE, ""
        _retime(schedule)
        _save(schedule, EventType.SCHEDULE_RESUMED, cause)
    return schedule


@transaction.atomic
def delete_schedule(
    *, workspace_id: uuid.UUID, schedule_id: uuid.UUID, cause: Cause, if_version: Versions = None
) -> None:
    """Delete a schedule; the tasks that it made stay. Raises NotFound and StaleVersion."""
    schedule = _locked(workspace_id, schedule_id, if_version)
    Schedule.objects.filter(pk=schedule.pk).delete()
    record_event(schedule_event(schedule, EventType.SCHEDULE_DELETED, cause))


def _refuse_one_more(workspace_id: uuid.UUID) -> None:
    """Refuse the one that is too many; under the head, so that of several at once none slips by."""
    lock_heads([workspace_id])
    if Schedule.objects.in_workspace(workspace_id).count() > SCHEDULES_MAX:
        raise LimitReached(f"A workspace has at most {SCHEDULES_MAX:,} schedules: delete one.")


def _locked(workspace_id: uuid.UUID, schedule_id: uuid.UUID, versions: Versions) -> Schedule:
    """Return the schedule, its row locked and nothing of it due."""
    rows = Schedule.objects.in_workspace(workspace_id).filter(pk=schedule_id)
    mine = rows.select_for_update(no_key=True, of=("self",))
    schedule = mine.with_now().first()
    if schedule is None:
        raise NotFound
    wanted = {versions} if isinstance(versions, int) else versions
    if wanted is not None and schedule.version not in wanted:
        detail = f"The schedule is at version {schedule.version}, which is not the one named."
        raise StaleVersion(detail)
    if not rows.due().exists():
        return schedule
    lock_heads([workspace_id])
    for _ in range(STEPS):
        due = list(rows.due().with_now())
        if not due:
            break
        make_due(due)
    return rows.with_now().get()


def _retime(schedule: Schedule) -> None:
    """Let it count from now on, if it is active."""
    calendar = calendar_of(cron=schedule.cron, time_zone=schedule.time_zone)
    schedule.since, schedule.last_local = schedule.now, ""
    after = max(schedule.now, schedule.last_at or schedule.now)
    active = schedule.state == ScheduleState.ACTIVE
    _aim(schedule, calendar.after(after) if active else None)


def _aim(schedule: Schedule, coming: Occurrence | None) -> None:
    schedule.next_at = coming.at if coming else None
    schedule.next_local = wall(coming.local) if coming else ""


def _save(schedule: Schedule, kind: EventType, cause: Cause, **data: Any) -> None:
    schedule.version += 1
    schedule.updated_at = schedule.now
    schedule.save()
    record_event(schedule_event(schedule, kind, cause, **data))


def _read_only(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": str(schedule.pk),
        "state": schedule.state,
        "version": schedule.version,
        "created_by": schedule.created_by,
        "created_at": moment(schedule.created_at),
        "updated_at": moment(schedule.updated_at),
    }
