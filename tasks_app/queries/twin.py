"""Which resource stands for the task of each delivery, at destinations that mirror."""

import uuid
from collections.abc import Iterable

from tasks_app.models import Delivery, Twin


def twins_of(deliveries: Iterable[Delivery]) -> dict[tuple[uuid.UUID, uuid.UUID | None], str]:
    """Return the twins' ids by (destination, task), in one look-up."""
    pairs = {(one.destination_id, one.task_id) for one in deliveries if one.task_id is not None}
    rows = Twin.objects.filter(
        destination_id__in={destination for destination, _ in pairs},
        task_id__in={task for _, task in pairs},
    ).exclude(remote_id="")
    return {(row.destination_id, row.task_id): row.remote_id for row in rows}
