"""Who did it and in which request: carried from the door to the log and on to destinations."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why an event exists: ``name`` is for people, ``id`` finds the member, key or schedule."""

    kind: Literal["user", "api_key", "schedule", "system"]
    name: str
    id: str = ""
    request_id: str = ""
    traceparent: str = ""

    @property
    def actor(self) -> dict[str, str]:
        """Return the event's ``actor``."""
        return {"kind": self.kind, "id": self.id, "name": self.name}


def system(name: str) -> Cause:
    """Return the cause of what nobody asked for: the engine, a sweep."""
    return Cause(kind="system", name=name)


def behalf_of(cause: Cause, name: str) -> Cause:
    """Return the engine as the actor, in the request and the trace of what made it act."""
    return Cause(
        kind="system", name=name, request_id=cause.request_id, traceparent=cause.traceparent
    )
