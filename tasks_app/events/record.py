"""The one way into the log, in the same transaction as what it tells of.

`record_events()` is the last statement of a transaction: it takes the workspace's head, which
every writer of the workspace shares, and keeps it until the commit that follows at once.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection

from tasks_app.events.catalogue import DELIVERED, EventType
from tasks_app.events.cause import Cause
from tasks_app.events.commit_hook import ring_after_commit
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


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an event stands in its log; ``number`` only for a task that it creates."""

    seq: int
    number: int | None
    sync: str | None


def record_event(event: NewEvent) -> Recorded:
    """Write one event; see record_events."""
    return record_events([event])[0]


def record_events(events: Sequence[NewEvent]) -> list[Recorded]:
    """Write events with their numbers and their deliveries, and ring the bells on commit.

    Raises RuntimeError outside a transaction: an event may not outlive a rollback.
    """
    if not events:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("record_events() must run inside the transaction it tells of.")
    items = orjson.dumps([_item(event) for event in events]).decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq, number, sync FROM aftercommit_record(%s::jsonb)", [items])
        recorded = [Recorded(*row) for row in cursor.fetchall()]
    if len(recorded) != len(events):
        raise RuntimeError("A workspace without a head: create it with create_workspace().")
    for event, row in zip(events, recorded, strict=True):
        ring_after_commit(event.workspace_id, row.seq, deliver=event.type in DELIVERED)
    return recorded


def lock_heads(workspace_ids: Iterable[uuid.UUID]) -> None:
    """Lock the heads of workspaces, in the order of their ids, until the transaction ends.

    Whoever ends, revives or promotes deliveries calls this before touching them, so that
    inserts and promotions of a workspace happen one after the other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM workspace_head WHERE workspace_id = ANY(%s)"
            " ORDER BY workspace_id FOR NO KEY UPDATE",
            [list(workspace_ids)],
        )


def lock_free_heads(workspace_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Lock those heads that nobody holds, without waiting; return their workspaces."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workspace_id FROM workspace_head WHERE workspace_id = ANY(%s)"
            " ORDER BY workspace_id FOR NO KEY UPDATE SKIP LOCKED",
            [list(workspace_ids)],
        )
        return {workspace for (workspace,) in cursor.fetchall()}


def _item(event: NewEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "workspace": event.workspace_id,
        "type": event.type,
        "actor": event.cause.actor,
        "request_id": event.cause.request_id,
        "traceparent": event.cause.traceparent,
        "task": event.task_id,
        "data": event.data,
        "deliver": event.type in DELIVERED,
        "only": event.only,
        "urgent": event.urgent,
        "new": event.type is EventType.TASK_CREATED,
    }
