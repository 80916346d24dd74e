"""What waits for each destination, and its circuit: two statements for a whole page."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import connection
from django.db.models import Count, Min, Q

from tasks_app.models import CircuitState, Delivery, DeliveryState

CIRCUITS = """
    SELECT c.destination_id, CASE WHEN c.state = 'open' AND EXISTS (
            SELECT 1 FROM delivery q JOIN destination_gate g ON g.probe_claim = q.claim_id
            WHERE g.destination_id = c.destination_id
              AND q.destination_id = c.destination_id AND q.state = 'leased')
        THEN 'probing' ELSE c.state END, CASE WHEN c.state = 'open' THEN c.until END
    FROM destination_circuit c WHERE c.destination_id = ANY(%s) AND c.state <> 'closed'
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Open deliveries, since when the oldest of them is due, and whether they are let through."""

    pending: int = 0
    oldest_due_at: datetime | None = None
    circuit: str = CircuitState.CLOSED
    circuit_until: datetime | None = None


def backlogs(destination_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Backlog]:
    """Return the backlog of each destination that has one, or whose circuit is not closed."""
    if not destination_ids:
        return {}
    rows = (
        Delivery.objects.filter(destination_id__in=destination_ids)
        .unfinished()
        .values_list("destination_id")
        .annotate(
            total=Count("id"),
            oldest=Min("next_attempt_at", filter=Q(state=DeliveryState.PENDING)),
        )
        .order_by()
    )
    found = {destination: Backlog(total, oldest) for destination, total, oldest in rows}
    with connection.cursor() as cursor:
        cursor.execute(CIRCUITS, [list(destination_ids)])
        for pk, circuit, until in cursor.fetchall():
            found[pk] = replace(found.get(pk, Backlog()), circuit=circuit, circuit_until=until)
    return found
