"""Clearing up: what waits for a deleted destination, and rows nobody reads."""

from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import system
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.events.record import record_events
from tasks_app.events.turn import move_on

BATCH = 1000
OLD = "statement_timestamp() - interval '1 hour'"
LATELY, EVER = "1 hour", "1000 years"

OF_DELETED = """
    SELECT o.id, o.workspace_id FROM destination x CROSS JOIN LATERAL (
        (SELECT d.id, d.workspace_id FROM delivery d
         WHERE d.destination_id = x.id AND d.state = 'pending' LIMIT %s)
        UNION ALL
        (SELECT d.id, d.workspace_id FROM delivery d
         WHERE d.destination_id = x.id AND d.task_id IS NOT NULL
           AND d.state IN ('waiting', 'pending', 'leased') AND d.state = 'waiting' LIMIT %s)) o
    WHERE x.deleted_at > statement_timestamp() - %s::interval LIMIT %s
"""
CANCEL = """
    UPDATE delivery d SET state = 'cancelled', error = 'destination_deleted',
        ended_at = statement_timestamp()
    FROM unnest(%s::uuid[]) gone(id)
    WHERE d.id = gone.id AND d.state IN ('waiting', 'pending')
    RETURNING d.*
"""


def cancel_of_deleted() -> int:
    """Cancel deliveries of destinations deleted within the last hour; the log says so."""
    return _cancel_of_deleted(LATELY)


def cancel_of_long_deleted() -> int:
    """Do it for those of all times: a belt. No lease lives for an hour, so it finds nothing."""
    return _cancel_of_deleted(EVER)


@transaction.atomic
def _cancel_of_deleted(within: str) -> int:
    """Cancel a batch."""
    with connection.cursor() as cursor:
        cursor.execute(OF_DELETED, [BATCH, BATCH, within, BATCH])
        found = cursor.fetchall()
    if not found:
        return 0
    free = lock_some_heads({workspace for _, workspace in found})
    cancelled = deliveries_of(CANCEL, [[pk for pk, workspace in found if workspace in free]])
    cause = system("sweep")
    kind = EventType.TASK_SYNC_CANCELLED
    told = [Told(delivery=one, type=kind, cause=cause) for one in cancelled]
    broken = move_on(cancelled)
    record_events([*outcome_events(told), *broken])
    return len(cancelled)


@transaction.atomic
def forget_the_old() -> int:
    """Delete signs of life of the dead and tickets nobody used."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM process_beat WHERE seen_at < {OLD}")  # noqa: S608 - a constant
        cursor.execute(f"DELETE FROM stream_ticket WHERE expires_at < {OLD}")  # noqa: S608
        return int(cursor.rowcount)
