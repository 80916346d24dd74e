"""Giving a destination up: one that has done nothing but fail for days is paused, and says so.

In a transaction of its own after the settle that saw it: pausing locks the destination, which a
settle may no longer do once it holds the head. Should this process die in between, the next
failure comes here again.
"""

import uuid
from collections.abc import Collection

from django.conf import settings
from django.db import transaction

from tasks_app.delivery.breaker import read
from tasks_app.delivery.hold import lock_destinations, pause
from tasks_app.delivery.notice import paused_events
from tasks_app.events.record import lock_heads, record_events
from tasks_app.models import Destination

DAY = 86_400


def pause_hopeless(ids: Collection[uuid.UUID]) -> None:
    """Pause those of the destinations that still do nothing but fail."""
    if not ids:
        return
    with transaction.atomic():
        lock_destinations(ids)
        lock_heads(set(Destination.objects.filter(pk__in=ids).values_list("workspace", flat=True)))
        long = settings.DELIVERY_AUTO_PAUSE_AFTER
        hopeless = {pk for pk, row in read(ids).items() if row.streak.is_longer_than(long)}
        record_events(paused_events(pause(hopeless, _reason(long))))


def _reason(seconds: int) -> str:
    days = seconds / DAY
    length = f"{days:g} days" if days >= 1 else f"{seconds} s"
    return f"Nothing but failures for {length}."
