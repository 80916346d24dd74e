"""What waits for each destination: one grouped statement for a whole page."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from tasks_app.models import Delivery, DeliveryState


@dataclass(frozen=True, slots=True)
class Backlog:
    """Open deliveries, and since when the oldest of them that may go out is due."""

    pending: int = 0
    oldest_due_at: datetime | None = None


def backlogs(destination_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Backlog]:
    """Return the backlog of each destination that has one."""
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
    return {destination: Backlog(total, oldest) for destination, total, oldest in rows}
