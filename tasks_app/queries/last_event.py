"""One event to try something on: by its seq, or the last of some types."""

import uuid
from collections.abc import Sequence
from typing import Final

from tasks_app.models import Event, WorkspaceHead

LOOK_BACK: Final = 1_000
"""Events looked through; further back a sample is as good, and the cost stays small."""


def last_event(*, workspace_id: uuid.UUID, types: Sequence[str]) -> Event | None:
    """Return the newest event of one of these types among the last 1,000."""
    head = WorkspaceHead.objects.filter(workspace_id=workspace_id).values_list("seq", flat=True)
    rows = Event.objects.in_workspace(workspace_id).filter(type__in=types)
    recent = rows.filter(seq__gt=(head.first() or 0) - LOOK_BACK)
    return recent.order_by("-seq").first()


def event_at(*, workspace_id: uuid.UUID, seq: int, types: Sequence[str]) -> Event | None:
    """Return the event with this seq, if it is of one of these types."""
    rows = Event.objects.in_workspace(workspace_id)
    return rows.filter(seq=seq, type__in=types).first()
