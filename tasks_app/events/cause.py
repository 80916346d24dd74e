"""Who did it and in which request: carried from the door to the log and on to destinations."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why an event exists. ``name`` is what people read; ``id`` finds the member or key."""

    kind: Literal["user", "api_key", "system"]
    name: str
    id: str = ""
    request_id: str = ""
    traceparent: str = ""

    @property
    def actor(self) -> dict[str, str]:
        """Return the event's ``actor``."""
        return {"kind": self.kind, "id": self.id, "name": self.name}


def system(name: str) -> Cause:
    """Return the cause of what nobody asked for: the engine, a sweep, a schedule."""
    return Cause(kind="system", name=name)
