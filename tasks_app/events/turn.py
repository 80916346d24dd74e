"""Who goes next: within a task's queue to one destination, and along a chain of destinations.

Of one task and one destination the first delivery that has not ended has its turn, unless it comes
behind another destination's delivery of the same event: then not before that has succeeded, and
never where that ended otherwise.
"""

import uuid
from collections.abc import Iterable, Sequence

from django.db import connection

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import system
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.events.record import NewEvent
from tasks_app.models import Delivery


def move_on(deliveries: Sequence[Delivery]) -> list[NewEvent]:
    """Let go what waited for these deliveries, which have ended, failed or been revived.

    Called in the same transaction, with the heads of their workspaces locked (see lock_heads),
    before the events that tell of it: their `sync` counts the deliveries as they stand then.
    Returns the events of what was cancelled because its chain is broken, to be recorded.
    """
    if not deliveries:
        return []
    pairs = list({(one.destination_id, one.task_id) for one in deliveries if one.task_id})
    broken = deliveries_of(
        "SELECT * FROM aftercommit_move_on(%s::uuid[], %s::uuid[], %s::uuid[])",
        [
            [one.pk for one in deliveries],
            [destination for destination, _ in pairs],
            [task for _, task in pairs],
        ],
    )
    kind, cause = EventType.TASK_SYNC_CANCELLED, system("chain")
    return outcome_events([Told(delivery=one, type=kind, cause=cause) for one in broken])


def mend_chains(revived: Iterable[Delivery], *, mark: str) -> list[Delivery]:
    """Let wait again what was cancelled because the chain broke at these; return it.

    ``mark`` becomes its ``webhook-replay``. Called with the heads locked.
    """
    return deliveries_of(
        "SELECT * FROM aftercommit_mend_chains(%s::uuid[], %s::text)",
        [[one.pk for one in revived], mark],
    )


def give_turns_to(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Give the turn in the queues of these (destination, task) pairs. The heads are locked."""
    listed = list(pairs)
    if not listed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT aftercommit_give_turns(%s::uuid[], %s::uuid[])",
            [[destination for destination, _ in listed], [task for _, task in listed]],
        )


def let_go(destination_id: uuid.UUID, *, most: int) -> int:
    """Let go what waits behind the destination's old chain. The head is locked.

    Returns how many, up to ``most``; fewer were the last.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT aftercommit_let_go(%s::uuid, %s::integer)", [destination_id, most])
        return int(cursor.fetchone()[0])
