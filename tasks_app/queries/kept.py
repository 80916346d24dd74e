"""From where a log and a destination's deliveries are kept: retention has erased the rest."""

import uuid

from tasks_app.models import Delivery, LogFloor


def kept_from(workspace_id: uuid.UUID) -> int:
    """Return the first seq of a workspace's log that is kept; 1 where nothing was cut off."""
    floor = LogFloor.objects.filter(pk=workspace_id).values_list("kept_from", flat=True)
    return floor.first() or 1


def first_sequence(destination_id: uuid.UUID) -> int | None:
    """Return the lowest ``webhook-sequence`` of which a delivery is kept; None where none is."""
    rows = Delivery.objects.filter(destination_id=destination_id).order_by("sequence")
    return rows.values_list("sequence", flat=True).first()
