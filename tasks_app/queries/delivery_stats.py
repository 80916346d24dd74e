"""How deliveries fare: attempts of the last hour and day, by destination and over all.

Read from counts by time and duration, never from the attempts: a day of millions costs as much as
a day of thousands. Durations are exact within 5 %, windows within a slot of five minutes.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from tasks_app.models.attempt_count import GROWTH

QUANTILES: Final = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
SPANS: Final = ("hour", "day")

# The slot that is running, and those that began within the span before it.
_COUNTS: Final = """
    SELECT s.name, c.destination_id, c.bucket, sum(c.attempts)::bigint,
           coalesce(sum(c.attempts) FILTER (WHERE c.succeeded), 0)::bigint
    FROM (VALUES ('hour', interval '65 minutes'), ('day', interval '24 hours 5 minutes'))
        AS s(name, span)
    JOIN attempt_count c ON c.slot > statement_timestamp() - s.span
    WHERE c.destination_id = ANY(%s)
    GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Count:
    """Attempts that took about as long."""

    span: str
    destination_id: uuid.UUID
    bucket: int
    attempts: int
    succeeded: int


def attempt_counts(destination_ids: Collection[uuid.UUID]) -> list[Count]:
    """Return the counts of these destinations over the spans."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [list(destination_ids)])
        return [Count(*row) for row in cursor.fetchall()]


def summary(counts: Iterable[Count]) -> dict[str, Any]:
    """Return how many there were, how many succeeded, and how long they took; null for none."""
    by_bucket: dict[int, int] = {}
    succeeded = 0
    for count in counts:
        by_bucket[count.bucket] = by_bucket.get(count.bucket, 0) + count.attempts
        succeeded += count.succeeded
    total = sum(by_bucket.values())
    return {
        "attempts": total,
        "succeeded": succeeded,
        "success_rate": round(succeeded / total, 4) if total else None,
        **{name: _quantile(by_bucket, total, share) for name, share in QUANTILES.items()},
    }


def _quantile(by_bucket: dict[int, int], total: int, share: float) -> float | None:
    seen = 0
    for bucket in sorted(by_bucket):
        seen += by_bucket[bucket]
        if seen >= share * total:
            return round(GROWTH**bucket, 2)
    return None
