"""Schedules for tests, and the database's time passing for them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from tasks_app.actions.schedule import clock, create_schedule
from tasks_app.models import Event, Schedule, ScheduleOccurrence, Workspace
from tests.support.factories import cause, log

HOURLY = "@hourly"
SELDOM = "0 0 29 2 *"  # so that nothing comes by itself while a test runs


def schedule(of: Workspace, name: str = "", **fields: Any) -> Schedule:
    """Return a new schedule, every hour of UTC unless told otherwise."""
    count = Schedule.objects.count()
    template = {"title": "Again", **fields.pop("template", {})}
    values = {"name": name or f"s-{count}", "cron": HOURLY, "time_zone": "UTC", **fields}
    return create_schedule(
        workspace_id=of.pk, fields={**values, "template": template}, cause=cause()
    )


def came(*schedules: Schedule, ago: timedelta = timedelta(seconds=1)) -> datetime:
    """Let the next occurrence have come so long ago, at a whole minute; return when that was."""
    at = (clock() - ago).replace(second=0, microsecond=0)
    set_next(at, *schedules)
    return at


def set_next(at: datetime, *schedules: Schedule, local: datetime | None = None) -> None:
    """Put the next occurrence at an instant, as the zone's clock shows it (UTC if not given)."""
    wall = (local or at).replace(tzinfo=None).isoformat(timespec="minutes")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE schedule SET next_at = %s, next_local = %s, since = %s - interval '1 second'"
            " WHERE id = ANY(%s)",
            [at, wall, at, [one.pk for one in schedules]],
        )


def created(of: Workspace) -> list[Event]:
    """Return the events of tasks that were created."""
    return [event for event in log(of) if event.type == "task_created"]


def times(of: Schedule) -> list[datetime]:
    """Return when it made something, in order."""
    rows = ScheduleOccurrence.objects.filter(schedule=of).order_by("at")
    return list(rows.values_list("at", flat=True))


def told(of: Workspace, kind: str) -> Iterator[dict[str, Any]]:
    """Yield what the events of one type tell."""
    return (event.data for event in log(of) if event.type == kind)
