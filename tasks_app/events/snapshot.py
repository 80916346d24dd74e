"""A task, a destination, a delivery as the log tells of them: plain JSON values."""

from datetime import UTC, datetime
from typing import Any

from tasks_app.models import Delivery, Destination, Replay, Schedule, Task

TASK_FIELDS = [
    "id",
    "number",
    "external_id",
    "title",
    "description",
    "status",
    "priority",
    "assignee",
    "due_at",
    "labels",
    "metadata",
    "version",
    "sync",
    "created_by",
    "created_at",
    "updated_at",
]


def moment(value: datetime | None) -> str | None:
    """Return RFC 3339 in UTC with microseconds and ``Z``."""
    if value is None:
        return None
    # Not strftime: its %Y writes the year 2 as "2".
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def task_snapshot(task: Task, sync: str | None = None) -> dict[str, Any]:
    """Return a task without ``sync``, or with the one given; the log fills number and sync in."""
    return {
        "id": str(task.pk),
        "number": task.number,
        "external_id": task.external_id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "priority": task.priority,
        "assignee": task.assignee,
        "due_at": moment(task.due_at),
        "labels": list(task.labels),
        "metadata": task.metadata,
        "version": task.version,
        "sync": sync,
        "created_by": task.created_by,
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
    }


def destination_snapshot(destination: Destination) -> dict[str, Any]:
    """Return what everybody in the workspace may see of a destination: no address, no secret."""
    return {
        "id": str(destination.pk),
        "name": destination.name,
        "kind": destination.kind,
        "state": destination.state,
        "paused_reason": destination.paused_reason,
    }


def delivery_snapshot(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as its outcome event carries it."""
    return {
        "id": str(delivery.pk),
        "destination": str(delivery.destination_id),
        "task": str(delivery.task_id) if delivery.task_id else None,
        "event": delivery.event_seq,
        "sequence": delivery.sequence,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": moment(delivery.next_attempt_at) if delivery.ended_at is None else None,
        "status_code": delivery.status_code,
        "error": delivery.error,
        "replay": delivery.replay,
    }


def replay_snapshot(replay: Replay) -> dict[str, Any]:
    """Return a replay as its progress event carries it."""
    return {
        "id": str(replay.pk),
        "destination": str(replay.destination_id),
        "state": replay.state,
        "reason": replay.reason,
        "total": replay.total,
        "made": replay.made,
        "ended": replay.ended,
        "skipped": replay.skipped,
    }


def schedule_snapshot(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as its events carry it."""
    return {
        "id": str(schedule.pk),
        "name": schedule.name,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "state": schedule.state,
        "version": schedule.version,
        "error": schedule.error,
    }
