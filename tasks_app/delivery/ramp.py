"""The end of a ramp: the circuit is closed again once the ramp holds nothing back any more.

That is, at the earliest when a second's share has reached what the destination's own limits
allow, and only after a while in which no share was used up: a receiver that answers fast is
ramped up further, until its concurrency is what limits it.
"""

from typing import Final

from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.delivery.notice import recovered_events
from tasks_app.events.record import record_events
from tasks_app.models import Destination

UNUSED: Final = 1.5
LONGEST: Final = 15.0
"""Seconds; by then the share is 32,768 a second, which holds nobody back."""

OVER: Final = """
    SELECT c.destination_id, d.workspace_id FROM destination_circuit c
    JOIN destination d ON d.id = c.destination_id
    LEFT JOIN destination_gate g ON g.destination_id = c.destination_id
    WHERE c.state = 'ramping' AND c.until <= statement_timestamp() AND (
        g.ramp_full_at IS NULL
        OR g.ramp_full_at < statement_timestamp() - make_interval(secs => %s)
        OR c.since < statement_timestamp() - make_interval(secs => %s))
"""
CLOSE: Final = """
    UPDATE destination_circuit c SET state = 'closed', since = statement_timestamp(),
        until = NULL, told = false, told_by_mail = false
    FROM (SELECT destination_id, told, told_by_mail FROM destination_circuit
          WHERE destination_id = ANY(%s) AND state = 'ramping') old
    WHERE c.destination_id = old.destination_id
    RETURNING old.destination_id, old.told, old.told_by_mail
"""


@transaction.atomic
def close_ramps() -> int:
    """Close the circuits whose ramp is over, and say that their destinations have recovered.

    A destination that was deleted meanwhile is told of no more.
    """
    with connection.cursor() as cursor:
        cursor.execute(OVER, [UNUSED, LONGEST])
        over = cursor.fetchall()
        if not over:
            return 0
        free = lock_some_heads({workspace for _, workspace in over})
        cursor.execute(CLOSE, [[pk for pk, workspace in over if workspace in free]])
        closed = cursor.fetchall()
    told = Destination.objects.filter(deleted_at=None)
    found = told.in_bulk([pk for pk, is_told, _ in closed if is_told])
    by_mail = [found[pk] for pk, is_told, mailed in closed if is_told and mailed and pk in found]
    record_events(recovered_events(list(found.values()), by_mail))
    return len(closed)
