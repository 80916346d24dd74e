"""Lease: claim due deliveries in one short transaction, without waiting for anybody.

The statements are in migrations/sql/0004_gates.sql, `aftercommit_lease`. What is claimed is this
worker's until it settles, falls silent for DELIVERY_WORKER_SILENCE, or outlives the lease.
"""

import time
import uuid
from collections.abc import Sequence
from itertools import count

from django.conf import settings
from django.db import connection, transaction

from tasks_app.delivery.leased import Leased
from tasks_app.delivery.twins import with_twins
from tasks_app.events.record import lock_heads
from tasks_app.events.turn import give_turns_to
from tasks_app.models import Destination

#: One lease in so many goes by age alone, so that urgent tasks starve nobody.
BY_AGE_EVERY = 8
_turn = count(1)


def lease(*, worker: str, wanted: int) -> list[Leased]:
    """Claim up to ``wanted`` deliveries for ``worker``; none where OUTBOUND_ENABLED is false.

    Within each destination's max_concurrency, counted over all workers, and never two of one
    task and destination at a time.
    """
    if not settings.OUTBOUND_ENABLED or wanted < 1:
        return []
    by_age = next(_turn) % BY_AGE_EVERY == 0
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


def give_back(rows: Sequence[Leased]) -> int:
    """Undo leases from which nothing has been sent, or whose outcome nobody will know.

    Returns how many were still ours.
    """
    if not rows:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        lock_heads({row.workspace_id for row in rows})
        cursor.execute(
            "UPDATE delivery SET state = 'pending', claim_id = NULL, leased_by = '',"
            " lease_expires_at = NULL, leases = greatest(leases - 1, 0)"
            " WHERE id = ANY(%s) AND claim_id = ANY(%s) AND state = 'leased'",
            [[row.delivery_id for row in rows], [row.claim_id for row in rows]],
        )
        given: int = cursor.rowcount
        give_turns_to({(row.destination_id, row.task_id) for row in rows if row.task_id})
    return given
