"""Deliveries by hand: retry what was given up, cancel what waits. The log says so.

Locks the workspace's head, then the delivery: nothing of this workspace ends or is promoted
meanwhile. A lease may still take the delivery first; then it is under way and stays so.
"""

import uuid
from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.outcome import Told, outcome_events
from tasks_app.events.record import lock_heads, record_events
from tasks_app.events.turn import mend_chains, move_on, stands_for
from tasks_app.exceptions import NotCancellable, NotFound, NotRetryable
from tasks_app.models import OPEN_STATES, Delivery, DeliveryState
from tasks_app.models.destination import DestinationMode

BY_HAND = "retry"
RETRYABLE = {DeliveryState.DEAD, DeliveryState.CANCELLED}
CANCELLABLE = {DeliveryState.WAITING, DeliveryState.PENDING}


@transaction.atomic
def retry_delivery(*, workspace_id: uuid.UUID, delivery_id: uuid.UUID, cause: Cause) -> Delivery:
    """Send a dead or cancelled delivery once more, with its whole schedule before it.

    It goes before later ones of its task that have not gone yet, and after one in flight. As
    later ones may have arrived, it carries ``webhook-replay``. What was cancelled because the
    chain broke here waits behind it again; what is itself behind one that has ended otherwise
    goes all the same, as a person decided so. Raises NotFound and NotRetryable, which is also
    what becomes of an older state at a destination of mode latest while a newer one is under way.
    """
    delivery = _locked(workspace_id, delivery_id)
    if delivery.state not in RETRYABLE or delivery.destination.deleted_at is not None:
        raise NotRetryable
    if delivery.destination.mode == DestinationMode.LATEST and _is_outdated(delivery):
        raise NotRetryable("A newer state of its task is under way, and only that is wanted.")
    state = DeliveryState.WAITING if delivery.task_id else DeliveryState.PENDING
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state,
        failures=0,
        leases=0,
        error="",  # why it ended; what its attempts met is with them
        ended_at=None,
        trying_since=None,
        next_attempt_at=Now(),
        replay=delivery.replay or BY_HAND,
        behind=_still_behind(delivery),
    )
    mended = mend_chains([delivery], mark=BY_HAND)
    return _told(delivery, EventType.TASK_SYNC_SCHEDULED, cause, also=mended)


@transaction.atomic
def cancel_delivery(*, workspace_id: uuid.UUID, delivery_id: uuid.UUID, cause: Cause) -> Delivery:
    """Never send a delivery that waits; the next of its task takes its turn.

    Raises NotFound, and NotCancellable where it has ended or is under way.
    """
    delivery = _locked(workspace_id, delivery_id)
    if delivery.state not in CANCELLABLE:
        raise NotCancellable
    Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.CANCELLED, ended_at=Now())
    return _told(delivery, EventType.TASK_SYNC_CANCELLED, cause)


def _locked(workspace_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    lock_heads([workspace_id])
    rows = Delivery.objects.in_workspace(workspace_id).select_related("destination")
    locked = rows.select_for_update(no_key=True, of=("self",)).filter(pk=delivery_id).first()
    if locked is None:
        raise NotFound
    return locked


def _is_outdated(delivery: Delivery) -> bool:
    """Tell whether a newer state of its task is under way to the same destination."""
    newer = Delivery.objects.filter(
        destination_id=delivery.destination_id,
        task_id=delivery.task_id,
        event_seq__gt=delivery.event_seq,
    )
    return delivery.task_id is not None and newer.unfinished().exists()


def _still_behind(delivery: Delivery) -> uuid.UUID | None:
    """Return what holds the delivery up: the one before it in its chain, where that is open."""
    if delivery.behind is None:
        return None
    link = stands_for(delivery.behind)
    return link if Delivery.objects.filter(pk=link, state__in=OPEN_STATES).exists() else None


def _told(
    delivery: Delivery, kind: EventType, cause: Cause, also: Sequence[Delivery] = ()
) -> Delivery:
    """Let go what waited, then tell of the delivery as it stands after that."""
    broken = move_on([delivery])
    delivery.refresh_from_db()
    told = [Told(delivery=one, type=kind, cause=cause) for one in (delivery, *also)]
    record_events([*outcome_events(told), *broken])
    return delivery
