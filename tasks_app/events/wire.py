"""Names and shapes that cross a process border: events as JSON, Celery tasks, channel groups.

Others send by these names instead of importing the functions behind them, which removes the
usual cycle between those who commit and those who are woken.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from tasks_app.events.snapshot import TASK_FIELDS, moment
from tasks_app.models import Event

DRAIN_TASK, DRAIN_QUEUE = "tasks_app.drain", "drain"
SWEEP_TASK, SWEEP_QUEUE = "tasks_app.sweep", "sweep"
SCHEDULES_TASK = "tasks_app.run_schedules"
IMPORTS_TASK = "tasks_app.run_imports"
DRAIN_WAKE_KEY = "aftercommit:wake:drain"
DRAIN_WAKE_MS = 2000  # a lost wake-up costs no longer than this
CONTROL_GROUP = "control"
LOG_GREW, ACCESS_CHANGED = "log.grew", "access.changed"


def workspace_group(workspace_id: uuid.UUID) -> str:
    """Return the channel group of a workspace's followers."""
    return f"workspace.{workspace_id.hex}"


def event_id(pk: uuid.UUID) -> str:
    """Return an event's id as users see it."""
    return f"evt_{pk.hex}"


def message_id(pk: uuid.UUID) -> str:
    """Return a ``webhook-id``."""
    return f"msg_{pk.hex}"


def in_order(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored task with its fields in the documented order; jsonb keeps none."""
    return {name: task[name] for name in TASK_FIELDS if name in task}


def event_to_wire(event: Event) -> dict[str, Any]:
    """Return the one JSON form of an event: for the API, the stream and destinations."""
    data = dict(event.data)
    wire: dict[str, Any] = {
        "seq": event.seq,
        "id": event_id(event.pk),
        "schema": event.schema,
        "type": event.type,
        "at": moment(event.at),
        "actor": event.actor,
        "request_id": event.request_id,
    }
    if "task" in data:
        wire["task"] = in_order(data.pop("task"))
    return wire | data
