"""A task and an event for trying a mapping where there is none of the workspace's own yet."""

from types import MappingProxyType
from typing import Any, Final

SAMPLE_TASK: Final[dict[str, Any]] = {
    "id": "0198f7a2-5f00-7000-8000-000000000001",
    "number": 12,
    "external_id": "CRM-7",
    "title": "Call the customer back",
    "description": "About the invoice of March.",
    "status": "open",
    "priority": "high",
    "assignee": "alice",
    "due_at": "2026-01-31T12:00:00.000000Z",
    "labels": ["sales", "phone"],
    "metadata": {"invoice": "2026-017", "amount": 120.5},
    "version": 2,
    "sync": "scheduled",
    "created_by": "alice",
    "created_at": "2026-01-30T09:00:00.000000Z",
    "updated_at": "2026-01-30T09:30:00.000000Z",
}
_CHANGES: Final = MappingProxyType({"task_updated": {"changes": {"priority": ["normal", "high"]}}})


def sample_event(kind: str) -> dict[str, Any]:
    """Return an event of this type as the API would show it, but for its seq: it has none."""
    event = {
        "id": "evt_0198f7a25f0070008000000000000002",
        "schema": 1,
        "type": kind,
        "at": "2026-01-30T09:30:00.000000Z",
        "actor": {"kind": "user", "id": "1", "name": "alice"},
        "request_id": "",
        "task": SAMPLE_TASK,
    }
    return event | _CHANGES.get(kind, {})
