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
    SELECT (d.sequence - %(after)s - 1) / %(window)s AS number,
        count(*) FILTER (WHERE d.state = 'succeeded'),
        encode(sha256(convert_to(coalesce(string_agg(
            d.sequence || ' msg_' || replace(d.message_id::text, '-', '') || chr(10), ''
            ORDER BY d.sequence) FILTER (WHERE d.state = 'succeeded'), ''), 'UTF8')), 'hex'),
        coalesce(array_agg(d.sequence ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('dead', 'cancelled', 'superseded')), '{}'),
        coalesce(array_agg(d.state::text ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('dead', 'cancelled', 'superseded')), '{}'),
        coalesce(array_agg(d.sequence ORDER BY d.sequence)
            FILTER (WHERE d.state IN ('waiting', 'pending', 'leased')), '{}')
    FROM delivery d
    WHERE d.destination_id = %(destination)s
      AND d.sequence > %(after)s AND d.sequence <= %(until)s
    GROUP BY number ORDER BY number
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
            after=after + number * window,
            until=min(after + (number + 1) * window, until),
            delivered=delivered,
            sha256=digest,
            never=list(zip(never, states, strict=True)),
            under_way=under_way,
        )
        for number, delivered, digest, never, states, under_way in rows
    ]
