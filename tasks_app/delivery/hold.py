"""What an answer does to its whole destination: Retry-After holds it, 410 pauses it."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

from tasks_app.models import Destination

GONE: Final = "The destination answered 410 Gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Hold a destination for so many seconds, or pause it until somebody resumes it."""

    destination_id: uuid.UUID
    hold: float | None
    pause: bool


def lock_destinations(ids: Collection[uuid.UUID]) -> None:
    """Lock the destinations in the order of their ids, before any head is locked."""
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM destination WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(ids)],
        )


def write_destinations(orders: Sequence[Order]) -> list[Destination]:
    """Carry the orders out; returns the destinations that were active and are paused now."""
    holds: dict[uuid.UUID, float] = {}
    for order in orders:
        if order.hold is not None:
            holds[order.destination_id] = max(order.hold, holds.get(order.destination_id, 0.0))
    _hold(holds)
    return pause({order.destination_id for order in orders if order.pause}, GONE)


def _hold(holds: dict[uuid.UUID, float]) -> None:
    if not holds:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE destination d SET blocked_until = greatest(d.blocked_until,"
            " statement_timestamp() + make_interval(secs => h.seconds))"
            " FROM unnest(%s::uuid[], %s::double precision[]) h(id, seconds) WHERE d.id = h.id",
            [list(holds), list(holds.values())],
        )


def pause(ids: Collection[uuid.UUID], reason: str) -> list[Destination]:
    """Pause destinations until somebody resumes them; returns those that were active."""
    if not ids:
        return []
    paused = Destination.objects.raw(
        "UPDATE destination SET state = 'auto_paused', paused_reason = %s,"
        " updated_at = statement_timestamp()"
        " WHERE id = ANY(%s) AND state = 'active' AND deleted_at IS NULL RETURNING *",
        [reason, list(ids)],
    )
    return list(paused)
