"""The one way into the log, in the same transaction as what it tells of.

`record_events()` is the last statement of a transaction: it takes the workspace's head, which
every writer of the workspace shares, and keeps it until the commit that follows at once.

Where a destination of mode ``latest`` now has more than one state of a task before it, the older
ones end here as well, and the log tells of them right after what has displaced them.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from tasks_app.events.catalogue import DELIVERED, EventType
from tasks_app.events.cause import behalf_of
from tasks_app.events.commit_hook import ring_after_commit
from tasks_app.events.new_event import NewEvent
from tasks_app.events.turn import go_on

__all__ = [
    "NewEvent",
    "Recorded",
    "lock_free_heads",
    "lock_heads",
    "record_event",
    "record_events",
]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an event stands in its log; ``number`` only for a task that it creates.

    ``crowded`` are the destinations of mode latest at which an older state of its task waits.
    """

    seq: int
    number: int | None
    sync: str | None
    crowded: Sequence[uuid.UUID] = ()


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
        cursor.execute(
            "SELECT seq, number, sync, crowded FROM aftercommit_record(%s::jsonb)", [items]
        )
        recorded = [Recorded(*row) for row in cursor.fetchall()]
    if len(recorded) != len(events):
        raise RuntimeError("A workspace without a head: create it with create_workspace().")
    for event, row in zip(events, recorded, strict=True):
        ring_after_commit(
            event.workspace_id, row.seq, deliver=event.type in DELIVERED, kind=event.type
        )
    record_events(_superseded(events, recorded))
    return recorded


def _superseded(events: Sequence[NewEvent], recorded: Sequence[Recorded]) -> list[NewEvent]:
    """End what these events have displaced; return what is to be told of it."""
    crowds = [
        (event, there)
        for event, row in zip(events, recorded, strict=True)
        for there in row.crowded or ()
    ]
    if not crowds:
        return []
    pairs = {(there, event.task_id) for event, there in crowds if event.task_id}
    return go_on(pairs, cause=behalf_of(crowds[0][0].cause, "delivery"))


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
