"""Who goes next: within a task's queue to one destination, and along a chain of destinations.

Of one task and one destination the first delivery that has not ended has its turn, unless it comes
behind another destination's delivery of the same event: then not before that has succeeded, and
never where that ended otherwise. At a destination of mode ``latest`` the newest state that may go
takes the place of those that wait before it.

A call ends a thousand deliveries at most of each kind. What has to end beyond that is noted
(``long_queue``): the sweep goes on, and nothing of that queue goes out before.
"""

import uuid
from collections.abc import Iterable, Sequence

from django.db import connection

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause, system
from tasks_app.events.new_event import NewEvent
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.models import Delivery, DeliveryState

Pair = tuple[uuid.UUID, uuid.UUID]  # a destination and a task


def move_on(deliveries: Sequence[Delivery]) -> list[NewEvent]:
    """Let go what waited for these deliveries, which have ended, failed or been revived.

    Called in the same transaction, with the heads of their workspaces locked (see lock_heads),
    before the events that tell of it: their `sync` counts the deliveries as they stand then.
    Returns the events of what ended by that, to be recorded: cancelled because its chain is
    broken, or superseded because a newer state waits at a destination of mode latest.
    """
    if not deliveries:
        return []
    pairs = {(one.destination_id, one.task_id) for one in deliveries if one.task_id}
    return _ended_events(_moved_on([one.pk for one in deliveries], pairs), system("delivery"))


def go_on(pairs: Iterable[Pair], *, cause: Cause) -> list[NewEvent]:
    """Look at these queues: end what has to end there, and give the turn.

    That is the older states that wait where the destination wants only the newest, and heads whose
    chain is broken. The heads of the logs are locked. Returns the events that tell of it, to be
    recorded.
    """
    return _ended_events(_moved_on([], pairs), cause)


def _moved_on(told: Sequence[uuid.UUID], pairs: Iterable[Pair]) -> list[Delivery]:
    listed = list(pairs)
    if not (told or listed):
        return []
    return deliveries_of(
        "SELECT * FROM aftercommit_move_on(%s::uuid[], %s::uuid[], %s::uuid[])",
        [told, [destination for destination, _ in listed], [task for _, task in listed]],
    )


def _ended_events(ended: Sequence[Delivery], cause: Cause) -> list[NewEvent]:
    """Tell of what ended by itself: superseded on its forerunner's behalf, or with its chain."""
    told = []
    for one in ended:
        if one.state == DeliveryState.SUPERSEDED:
            told.append(Told(delivery=one, type=EventType.TASK_SYNC_SUPERSEDED, cause=cause))
        else:
            chain = system("chain")
            told.append(Told(delivery=one, type=EventType.TASK_SYNC_CANCELLED, cause=chain))
    return outcome_events(told)


def mend_chains(revived: Iterable[Delivery], *, mark: str) -> list[Delivery]:
    """Let wait again what was cancelled because the chain broke at these; return it.

    ``mark`` becomes its ``webhook-replay``. Called with the heads locked.
    """
    return deliveries_of(
        "SELECT * FROM aftercommit_mend_chains(%s::uuid[], %s::text)",
        [[one.pk for one in revived], mark],
    )


def stands_for(delivery_id: uuid.UUID) -> uuid.UUID:
    """Return what in the end went instead of a delivery, or itself. The head is locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT aftercommit_stands_for(%s::uuid, 1000)", [delivery_id])
        found: uuid.UUID = cursor.fetchone()[0]
    return found


def let_go(destination_id: uuid.UUID, *, most: int) -> int:
    """Let go what waits behind the destination's old chain. The head is locked.

    Returns how many, up to ``most``; fewer were the last.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT aftercommit_let_go(%s::uuid, %s::integer)", [destination_id, most])
        return int(cursor.fetchone()[0])
