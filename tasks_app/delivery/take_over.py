"""Leases without a worker: given back, or ended where their payload keeps killing workers.

A lease is lost when its worker has been silent for DELIVERY_WORKER_SILENCE, when it has expired,
or when the worker itself does not know of it. Right after a restart of PostgreSQL nobody has been
heard, so then silence counts only once everybody has had time to speak again.

Nobody waits here for long: leases of a workspace whose head another holds are left for later.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import system
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.events.record import NewEvent, lock_free_heads, record_events
from tasks_app.events.turn import move_on
from tasks_app.models import Delivery, DeliveryState

BATCH = 1000
POISON = "poison"

Lost = tuple[uuid.UUID, uuid.UUID, uuid.UUID]  # the delivery, its claim, its workspace

LOST = """
    SELECT d.id, d.claim_id, d.workspace_id FROM delivery d
    WHERE d.state = 'leased' AND (
        d.lease_expires_at <= statement_timestamp()
        OR pg_postmaster_start_time() < statement_timestamp() - make_interval(secs => %s)
           AND NOT EXISTS (
               SELECT 1 FROM process_beat b WHERE b.name = d.leased_by
               AND b.seen_at > statement_timestamp() - make_interval(secs => %s)))
"""
UNKNOWN = """
    SELECT d.id, d.claim_id, d.workspace_id FROM delivery d
    WHERE d.state = 'leased' AND d.leased_by = %s AND d.claim_id <> ALL(%s::uuid[])
"""
GIVE_BACK = """
    UPDATE delivery d SET
        state = CASE WHEN d.leases >= %s THEN 'dead' ELSE 'pending' END,
        error = CASE WHEN d.leases >= %s THEN 'poison' ELSE d.error END,
        ended_at = CASE WHEN d.leases >= %s THEN statement_timestamp() END,
        claim_id = NULL, leased_by = '', lease_expires_at = NULL
    FROM unnest(%s::uuid[], %s::uuid[]) lost(id, claim)
    WHERE d.id = lost.id AND d.claim_id = lost.claim AND d.state = 'leased'
    RETURNING d.*
"""


@transaction.atomic
def take_over() -> int:
    """Give back leases that are lost, a batch of them at most; returns how many."""
    silence = settings.DELIVERY_WORKER_SILENCE
    settled = silence + settings.DELIVERY_WORKER_BEAT
    lost = _found(LOST, [settled, silence])
    free = lock_some_heads({workspace for _, _, workspace in lost})
    return _give_back([row for row in lost if row[2] in free][:BATCH])


@transaction.atomic
def take_back_unknown(*, worker: str, known: Collection[uuid.UUID]) -> bool:
    """Give back this worker's leases of which it never heard: their commit's answer was lost.

    Returns whether that was all; False where another held the head of a workspace.
    """
    unknown = _found(UNKNOWN, [worker, list(known)])
    free = lock_free_heads({workspace for _, _, workspace in unknown})
    mine = [row for row in unknown if row[2] in free]
    _give_back(mine)
    return len(mine) == len(unknown)


def _found(sql: str, parameters: Sequence[Any]) -> list[Lost]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[Lost] = cursor.fetchall()
    return found


def _give_back(rows: Sequence[Lost]) -> int:
    """Give these back where they are still lost; the caller holds the heads."""
    if not rows:
        return 0
    most = settings.DELIVERY_POISON_LEASES
    ids, claims = [row[0] for row in rows], [row[1] for row in rows]
    given = deliveries_of(GIVE_BACK, [most, most, most, ids, claims])
    broken = move_on(given)
    poison = _poison_events([one for one in given if one.state == DeliveryState.DEAD])
    record_events([*poison, *broken])
    return len(given)


def _poison_events(dead: Sequence[Delivery]) -> list[NewEvent]:
    cause = system("sweep")
    told = [Told(delivery=one, type=EventType.TASK_SYNC_FAILED, cause=cause) for one in dead]
    return outcome_events(told)
