"""Lease: claim due deliveries in one short transaction, without waiting for anybody.

The statements are in migrations/sql/0004_gates.sql, `aftercommit_lease`. What is claimed is this
worker's until it settles, falls silent for DELIVERY_WORKER_SILENCE, or outlives the lease.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.twins import with_twins
from tasks_app.events.outcome import deliveries_of
from tasks_app.events.record import record_events
from tasks_app.events.turn import move_on
from tasks_app.models import Destination

GIVE_BACK: Final = """
    UPDATE delivery d SET state = 'pending', claim_id = NULL, leased_by = '',
        lease_expires_at = NULL, leases = greatest(d.leases - %s, 0)
    WHERE d.id = ANY(%s) AND d.claim_id = ANY(%s) AND d.state = 'leased'
    RETURNING d.*
"""
# The oldest counts are taken first: whenever those end, no window has been let more through.
FREE: Final = """
    UPDATE destination_gate g SET sent = (
        SELECT array_agg(s.sent - least(s.sent, greatest(0, given.number - s.before)) ORDER BY s.i)
        FROM (SELECT u.sent, u.i, coalesce(sum(u.sent) OVER (
                  ORDER BY u.i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
              FROM unnest(g.sent) WITH ORDINALITY u(sent, i)) s)
    FROM unnest(%s::uuid[], %s::integer[]) given(destination, number)
    WHERE g.destination_id = given.destination AND g.destination_id IN (
        SELECT o.destination_id FROM destination_gate o
        WHERE o.destination_id = given.destination AND o.rate_seconds IS NOT NULL
        FOR NO KEY UPDATE SKIP LOCKED)
"""
#: One lease in so many goes by age alone, so that urgent tasks starve nobody. By chance: turns that
#: were counted could fall in step with other workers', who came first each time.
BY_AGE_EVERY = 8


def lease(*, worker: str, wanted: int) -> list[Leased]:
    """Claim up to ``wanted`` deliveries for ``worker``; none where OUTBOUND_ENABLED is false.

    Within each destination's max_concurrency, counted over all workers, and never two of one
    task and destination at a time.
    """
    if not settings.OUTBOUND_ENABLED or wanted < 1:
        return []
    by_age = random.random() * BY_AGE_EVERY < 1  # noqa: S311 - nothing secret
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM aftercommit_lease("
            "%s::text, %s::integer, %s::double precision, %s::boolean)",
            [worker, wanted, settings.DELIVERY_LEASE_MARGIN, by_age],
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            return []
        # What is signed tells the time, and receivers refuse what is minutes off: by the database's
        # clock, so that nobody has to set the clocks of workers for that.
        ahead = max(row.pop("clock") for row in rows) - time.time()
        to = _destinations({row["destination_id"] for row in rows}, now=time.time() + ahead)
        leased = [Leased(**row, destination=to[row["destination_id"]], ahead=ahead) for row in rows]
        return with_twins(leased)


def _destinations(ids: set[uuid.UUID], *, now: float) -> dict[uuid.UUID, Destination]:
    """Return the destinations of a lease, once each; the lease has them locked."""
    found = Destination.objects.in_bulk(list(ids))
    for destination in found.values():
        ends = destination.old_secret_expires_at
        if ends is None or ends.timestamp() <= now:
            destination.sealed_old_secret = destination.sealed_old_signing_key = ""
    return found


def give_back(rows: Sequence[Leased], *, unsent: bool = True) -> list[Leased]:
    """Undo leases from which nothing has been sent, or else whose outcome nobody will know.

    Of the former, what they took of a destination's rate is free again. The latter keep the count
    of their leases: they may have arrived, so at a destination of mode latest nothing takes their
    place. Returns those that could not be given back yet: another transaction holds their workspace
    up.
    """
    if not rows:
        return []
    with transaction.atomic():
        free = lock_some_heads({row.workspace_id for row in rows})
        ours = [row for row in rows if row.workspace_id in free]
        given = deliveries_of(
            GIVE_BACK,
            [int(unsent), [row.delivery_id for row in ours], [row.claim_id for row in ours]],
        )
        record_events(move_on(given))
        if unsent:
            _free_the_rate(Counter(row.destination_id for row in given))
    return [row for row in rows if row.workspace_id not in free]


def _free_the_rate(numbers: Mapping[uuid.UUID, int]) -> None:
    """Give slots of rates back, unless a lease is counting them: it alone has them locked.

    The last thing in its transaction, so that a lease does not wait for what this one waits for.
    """
    with connection.cursor() as cursor:
        cursor.execute(FREE, [list(numbers), list(numbers.values())])
