"""A delivery in this worker's hands: everything one attempt needs, as plain values."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from tasks_app.connectors.base import Twin
from tasks_app.events.catalogue import EventType
from tasks_app.events.wire import event_to_wire
from tasks_app.models import Destination, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """One row of a lease: the delivery, its destination as of now, and its event."""

    delivery_id: uuid.UUID
    claim_id: uuid.UUID
    workspace_id: uuid.UUID
    destination_id: uuid.UUID
    task_id: uuid.UUID | None
    event_seq: int
    event_type: str
    message_id: uuid.UUID
    sequence: int
    attempts: int
    failures: int
    replay: str
    age: float  # seconds since the first attempt after it was last set going
    era: int = 0  # of its destination's circuit when this was leased
    event_id: uuid.UUID
    schema: int
    at: datetime
    actor: str  # JSON
    request_id: str
    traceparent: str
    data: str = field(repr=False)  # JSON
    destination: Destination = field(repr=False)  # as it was when this was leased
    ahead: float = 0.0  # seconds by which the database's clock is ahead of this machine's
    twin: Twin | None = field(default=None, repr=False)  # only for destinations that mirror

    def wire(self) -> dict[str, Any]:
        """Return the event as the API shows it."""
        return event_to_wire(
            Event(
                id=self.event_id,
                workspace_id=self.workspace_id,
                seq=self.event_seq,
                schema=self.schema,
                type=self.event_type,
                at=self.at,
                actor=orjson.loads(self.actor),
                request_id=self.request_id,
                task_id=self.task_id,
                data=orjson.loads(self.data),
            )
        )

    @property
    def is_ping(self) -> bool:
        """Tell whether this tests a destination: one attempt, never retried."""
        return self.event_type == EventType.PING
