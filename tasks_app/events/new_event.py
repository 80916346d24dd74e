"""What is to be told, before it has a number."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.models import uuid7


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """What is to be told. ``only`` narrows the fan-out to one destination (a ping)."""

    workspace_id: uuid.UUID
    type: EventType
    cause: Cause
    data: dict[str, Any]
    task_id: uuid.UUID | None = None
    only: uuid.UUID | None = None
    urgent: bool = False
    id: uuid.UUID = field(default_factory=uuid7)
