"""Reading the log: pages after a sequence number, each event encoded where it is read."""

import uuid
from collections.abc import Iterable

from realtime.cursor import Head
from realtime.frames import EventFrame
from tasks_app.events.wire import event_to_wire
from tasks_app.models import Event, WorkspaceHead


def read_page(workspace_id: uuid.UUID, *, after: int, most: int, epoch: str) -> list[EventFrame]:
    """Return the next events in order, at most so many; a short, complete query each time."""
    rows = Event.objects.in_workspace(workspace_id).after(after)[:most]
    return [EventFrame(event_to_wire(row), epoch=epoch) for row in rows]


def read_heads(workspace_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Head]:
    """Return the ends of logs, in one query; a log that is gone is missing."""
    rows = WorkspaceHead.objects.filter(workspace_id__in=list(workspace_ids))
    return {row.workspace_id: Head(row.seq, row.epoch) for row in rows}


def follows(frames: list[EventFrame], seq: int) -> bool:
    """Tell whether the page begins right after that number: the log has no holes but its start."""
    return bool(frames) and frames[0].seq == seq + 1
