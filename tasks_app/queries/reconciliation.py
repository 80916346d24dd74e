"""What a destination was sent, so that it can prove it has all: a digest of each window.

The digest is SHA-256 over one line a delivery that succeeded, in the order of ``sequence``:
``<webhook-sequence> <webhook-id>\\n``. A receiver makes the same text of what it has written down.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import connection

from tasks_app.models import DestinationCounter

_WINDOWS: Final = """
    SELECT w.after, w.until,
        count(*) FILTER (WHERE d.state = 'succeeded'),
        encode(sha256(convert_to(coalesce(string_agg(
            d.sequence || ' msg_' || replace(d.message_id::text, '-', '') || chr(10), ''
            ORDER BY d.sequence) FILTER (WHERE d.state = 'succeeded'), ''), 'UTF8')), 'hex'),
        coalesce(array_agg(d.sequence ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('dead', 'cancelled', 'superseded')), '{}'),
        coalesce(array_agg(d.state::text ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('dead', 'cancelled', 'superseded')), '{}'),
        coalesce(array_agg(d.sequence ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('waiting', 'pending', 'leased')), '{}'),
        w.until - w.after - count(d.id)
    FROM (
        SELECT n AS after, least(n + %(window)s::bigint, %(until)s::bigint) AS until
        FROM generate_series(%(after)s::bigint, %(until)s::bigint - 1, %(window)s::bigint) n) w
    LEFT JOIN delivery d ON d.destination_id = %(destination)s
        AND d.sequence > w.after AND d.sequence <= w.until
    GROUP BY w.after, w.until ORDER BY w.after
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The deliveries with ``after`` < sequence ≤ ``until``."""

    after: int
    until: int
    delivered: int
    sha256: str
    never: Sequence[tuple[int, str]] = field(default=())
    under_way: Sequence[int] = field(default=())
    #: How many of them are no longer kept: the digest is without those.
    forgotten: int = 0


def last_sequence(destination_id: uuid.UUID) -> int:
    """Return the highest ``webhook-sequence`` that was given out."""
    counter = DestinationCounter.objects.filter(pk=destination_id)
    return counter.values_list("sequence", flat=True).first() or 0


def windows(destination_id: uuid.UUID, *, after: int, until: int, window: int) -> list[Window]:
    """Return the digests of (after, until], cut into windows of ``window`` sequences each."""
    with connection.cursor() as cursor:
        cursor.execute(
            _WINDOWS,
            {"destination": destination_id, "after": after, "until": until, "window": window},
        )
        rows = cursor.fetchall()
    return [
        Window(
            after=begins,
            until=ends,
            delivered=delivered,
            sha256=digest,
            never=list(zip(never, states, strict=True)),
            under_way=under_way,
            forgotten=forgotten,
        )
        for begins, ends, delivered, digest, never, states, under_way, forgotten in rows
    ]
