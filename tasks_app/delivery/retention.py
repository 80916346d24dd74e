"""Retention: what is older than it has to be kept is forgotten, a batch at a time.

First the floor of a log is raised, under its head, for a moment: from then on nothing older is
told, replayed or made. Then the rows below it go, without any head. An event goes only once no
delivery of it is under way and no replay that may still read it; with it go its deliveries and
their attempts. Attempts of deliveries that stay may go sooner.
"""

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.conf import settings
from django.db import connection

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.queries.replay import seq_at

logger = logging.getLogger(__name__)

REST: Final = 60.0  # seconds, once nothing is left to forget
STRIDE: Final = 2000  # events in one transaction
MOST: Final = 5000  # deliveries or attempts in one transaction
LOGS: Final = 20  # floors raised in one transaction, or looked at in vain

OLD_LOGS: Final = """
    SELECT h.workspace_id, h.seq, coalesce(f.kept_from, 1),
        statement_timestamp() - make_interval(days => %s::integer)
    FROM workspace_head h LEFT JOIN log_floor f ON f.workspace_id = h.workspace_id
    CROSS JOIN LATERAL (
        SELECT e.at FROM event e
        WHERE e.workspace_id = h.workspace_id AND e.seq >= coalesce(f.kept_from, 1)
        ORDER BY e.seq LIMIT 1) oldest
    WHERE oldest.at < statement_timestamp() - make_interval(days => %s::integer)
    ORDER BY random() LIMIT %s
"""
RAISE: Final = """
    INSERT INTO log_floor AS f (workspace_id, kept_from)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[])
    ON CONFLICT (workspace_id) DO UPDATE SET kept_from = greatest(f.kept_from, excluded.kept_from)
"""
LEFT: Final = """
    SELECT f.workspace_id, f.erased_to FROM log_floor f WHERE f.erased_to < f.kept_from - 1
    ORDER BY random() LIMIT %s
"""
ERASE: Final = "SELECT aftercommit_erase(%s::uuid, %s::integer, %s::integer)"
# Ids are in the order of time (RFC 9562 §5.7): 48 bits of milliseconds come first.
OLD_ATTEMPTS: Final = """
    DELETE FROM attempt WHERE id = ANY(ARRAY(
        SELECT a.id FROM attempt a WHERE a.id < (
            SELECT encode(substring(int8send(floor(extract(epoch FROM
                statement_timestamp() - make_interval(days => %s::integer)) * 1000)::bigint) FROM 3)
                || decode(repeat('00', 10), 'hex'), 'hex')::uuid)
        ORDER BY a.id LIMIT %s))
"""
OLD_REPLAYS: Final = """
    DELETE FROM replay r WHERE r.id = ANY(ARRAY(
        SELECT o.id FROM replay o
        WHERE o.ended_at < statement_timestamp() - make_interval(days => %s::integer)
          AND NOT o.cancels_deliveries LIMIT %s))
"""

_looks_again_at = [float("-inf")]


def forget_some() -> int:
    """Take one step, of which each is a transaction of its caller; return how many rows it took.

    Of each kind a batch, so that none waits until another has nothing left. After a step that found
    nothing it rests for a minute.
    """
    if time.monotonic() < _looks_again_at[0]:
        return 0
    done = sum(step() for step in (_attempts, _floors, _logs, _replays))
    if not done:
        _looks_again_at[0] = time.monotonic() + REST
    return done


def look_again() -> None:
    """Let the next step look, however lately the last one found nothing."""
    _looks_again_at[0] = float("-inf")


def _attempts() -> int:
    return _kept_for(settings.RETENTION_ATTEMPTS_DAYS, lambda days: _count(OLD_ATTEMPTS, days))


def _replays() -> int:
    return _kept_for(settings.RETENTION_LOG_DAYS, lambda days: _count(OLD_REPLAYS, days))


def _floors() -> int:
    return _kept_for(settings.RETENTION_LOG_DAYS, _raise_floors)


def _kept_for(days: int, forget: Callable[[int], int]) -> int:
    """Forget what is older than so many days; 0 keeps everything."""
    return forget(days) if days else 0


def _count(sql: str, days: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, [days, MOST])
        return int(cursor.rowcount)


def _raise_floors(days: int) -> int:
    """Raise the floors of logs that begin too early; leave for later those that are held up."""
    floors: dict[uuid.UUID, int] = {}
    for workspace, head, kept_from, moment in _read(OLD_LOGS, [days, days, LOGS]):
        floor = seq_at(workspace, moment, head=head)
        if floor > kept_from:
            floors[workspace] = floor
    free = list(lock_some_heads(floors))
    if free:
        with connection.cursor() as cursor:
            cursor.execute(RAISE, [free, [floors[one] for one in free]])
    return len(free)


def _logs() -> int:
    """Erase a batch of the first log that has something to erase and nothing in the way."""
    for workspace, erased_to in _read(LEFT, [LOGS]):
        ((done,),) = _read(ERASE, [workspace, STRIDE, MOST])
        if done:
            return int(done)
        place = {"workspace": str(workspace), "after": erased_to}
        logger.info("retention_held_up", extra=place)
    return 0


def _read(sql: str, parameters: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
