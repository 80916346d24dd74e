"""Belts: turns and chains that got lost, looked for a stretch of the open deliveries at a time.

Every writer gives turns and follows chains itself, so there is nothing to find; and looking costs
the same however much waits, and however much has ended. The end of one stretch is where the next
begins, in each process for itself.
"""

import uuid
from typing import Final

from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.cause import system
from tasks_app.events.outcome import deliveries_of
from tasks_app.events.record import record_events
from tasks_app.events.turn import go_on, move_on

STRETCH: Final = 20_000  # open deliveries

Place = tuple[uuid.UUID, uuid.UUID, int]
FIRST: Final[Place] = (uuid.UUID(int=0), uuid.UUID(int=0), 0)
LAST: Final[Place] = (uuid.UUID(int=2**128 - 1), uuid.UUID(int=2**128 - 1), 2**63 - 1)

END: Final = """
    SELECT d.destination_id, d.task_id, d.sequence FROM delivery d
    WHERE d.state IN ('waiting', 'pending', 'leased') AND d.task_id IS NOT NULL
      AND (d.destination_id, d.task_id, d.sequence) > (%s, %s, %s)
    ORDER BY d.destination_id, d.task_id, d.sequence OFFSET %s LIMIT 1
"""
# The first of a stretch may be no head: whoever gives turns looks again. One that comes behind
# something displaced is looked at as well: what went instead may have ended.
STUCK: Final = """
    SELECT h.destination_id, h.task_id, h.workspace_id FROM (
        SELECT DISTINCT ON (d.destination_id, d.task_id)
            d.destination_id, d.task_id, d.workspace_id, d.state, d.behind
        FROM delivery d
        WHERE d.state IN ('waiting', 'pending', 'leased') AND d.task_id IS NOT NULL
          AND (d.destination_id, d.task_id, d.sequence) > (%s, %s, %s)
          AND (d.destination_id, d.task_id, d.sequence) <= (%s, %s, %s)
        ORDER BY d.destination_id, d.task_id, d.sequence) h
    WHERE h.state = 'waiting' AND NOT EXISTS (
        SELECT 1 FROM delivery c
        WHERE c.id = h.behind AND c.state NOT IN ('succeeded', 'superseded'))
"""
UNCHAINED: Final = """
    SELECT c.* FROM (
        SELECT d.behind FROM delivery d
        WHERE d.state IN ('waiting', 'pending', 'leased') AND d.task_id IS NOT NULL
          AND (d.destination_id, d.task_id, d.sequence) > (%s, %s, %s)
          AND (d.destination_id, d.task_id, d.sequence) <= (%s, %s, %s)
          AND d.state = 'waiting' AND d.behind IS NOT NULL OFFSET 0) d
    JOIN delivery c ON c.id = d.behind
    WHERE c.state IN ('dead', 'cancelled')
"""


class Walk:
    """Where one belt goes on, in this process."""

    def __init__(self) -> None:
        self._place = FIRST

    def stretch(self) -> tuple[Place, Place]:
        """Return the next stretch: after the first place, up to the second."""
        begins = self._place
        with connection.cursor() as cursor:
            cursor.execute(END, [*begins, STRETCH - 1])
            found: Place | None = cursor.fetchone()
        self._place = found or FIRST
        return begins, found or LAST


_turns, _chains = Walk(), Walk()


@transaction.atomic
def give_stuck_turns() -> int:
    """Let heads of queues go that wait for nobody."""
    begins, ends = _turns.stretch()
    with connection.cursor() as cursor:
        cursor.execute(STUCK, [*begins, *ends])
        stuck = cursor.fetchall()
    free = lock_some_heads({workspace for _, _, workspace in stuck})
    pairs = {(destination, task) for destination, task, where in stuck if where in free}
    record_events(go_on(pairs, cause=system("delivery")))
    return len(stuck)


@transaction.atomic
def follow_lost_chains() -> int:
    """Cancel what comes behind a delivery that did not succeed."""
    begins, ends = _chains.stretch()
    ended = deliveries_of(UNCHAINED, [*begins, *ends])
    free = lock_some_heads({one.workspace_id for one in ended})
    record_events(move_on([one for one in ended if one.workspace_id in free]))
    return len(ended)
