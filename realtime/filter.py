"""What a follower wants to see: every named criterion must hold, any of its values will do."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks_app.events.catalogue import EventType

MOST_VALUES = 100
TYPES = frozenset(map(str, EventType))


class BadFilter(ValueError):
    """The filter names what is not there; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Values that an event must match; None: any."""

    task: frozenset[str] | None = None
    assignee: frozenset[str] | None = None
    label: frozenset[str] | None = None
    destination: frozenset[str] | None = None
    types: frozenset[str] | None = None

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Tell whether a follower with this filter sees the event."""
        task = event.get("task") or {}
        return (
            (self.types is None or event["type"] in self.types)
            and (self.task is None or task.get("id") in self.task)
            and (self.assignee is None or task.get("assignee") in self.assignee)
            and (self.label is None or not self.label.isdisjoint(task.get("labels") or ()))
            and (self.destination is None or not self.destination.isdisjoint(_destinations(event)))
        )


def parse_filter(criteria: Mapping[str, Any]) -> Filter | None:
    """Return the filter, or None where nothing is asked for; raises BadFilter."""
    unknown = sorted(set(criteria) - set(_READERS))
    if unknown:
        raise BadFilter(f"Unknown: {', '.join(unknown)[:200]}. Known: {', '.join(_READERS)}.")
    wanted = {
        name: frozenset(_READERS[name](text) for text in _texts(name, value))
        for name, value in criteria.items()
        if value is not None
    }
    return Filter(**wanted) if wanted else None


def _texts(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MOST_VALUES or not all(isinstance(text, str) for text in values):
        raise BadFilter(f"{name} must be a text or a list of 1 to {MOST_VALUES} texts.")
    return values


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise BadFilter(f"{text[:50]!r} is not an id.") from None


def _type(text: str) -> str:
    if text not in TYPES:
        raise BadFilter(f"{text[:50]!r} is not a type of event.")
    return text


def _destinations(event: Mapping[str, Any]) -> set[str | None]:
    found = {(event.get("delivery") or {}).get("destination")}
    found.add((event.get("destination") or {}).get("id"))
    return found


_READERS: dict[str, Callable[[str], str]] = {
    "task": _uuid,
    "assignee": str,
    "label": str,
    "destination": _uuid,
    "types": _type,
}
FILTER_NAMES = tuple(_READERS)
