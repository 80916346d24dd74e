"""The circuits' rows: read, moved on by what a settle has seen, written, and told of.

Every writer holds the head of the destination's workspace, so nobody waits here and no
destination is locked. The lease reads what was committed.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import connection

from tasks_app.connectors.base import Outcome
from tasks_app.delivery.circuit import Breaker, Sign, after, sign_of, was_asked
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.streak import Streak, streak_after
from tasks_app.models import CircuitState, Destination

MAIL_EVERY: Final = 3600.0
"""A destination that comes and goes is mailed about once in so many seconds."""

READ: Final = """
    SELECT x.id, coalesce(c.state, 'closed'), coalesce(c.era, 0),
        coalesce(extract(epoch FROM c.since), 0)::float8, extract(epoch FROM c.until)::float8,
        coalesce(c.trips, 0), coalesce(c.in_row, 0), coalesce(c.recent, '{}'),
        extract(epoch FROM c.failing_since)::float8, extract(epoch FROM c.failed_at)::float8,
        coalesce(c.fails, 0), coalesce(c.told, false), coalesce(c.told_by_mail, false),
        extract(epoch FROM c.mailed_at)::float8, extract(epoch FROM statement_timestamp())::float8
    FROM unnest(%s::uuid[]) x(id) LEFT JOIN destination_circuit c ON c.destination_id = x.id
"""
WRITE: Final = """
    INSERT INTO destination_circuit AS c (destination_id, state, era, since, until, trips, in_row,
        recent, failing_since, failed_at, fails, told, told_by_mail, mailed_at)
    SELECT id, state, era, to_timestamp(since), to_timestamp(until), trips, in_row, recent,
        to_timestamp(failing_since), to_timestamp(failed_at), fails, told, told_by_mail,
        to_timestamp(mailed_at)
    FROM jsonb_to_recordset(%s::jsonb) AS i(id uuid, state text, era integer, since float8,
        until float8, trips smallint, in_row smallint, recent bigint[], failing_since float8,
        failed_at float8, fails integer, told boolean, told_by_mail boolean, mailed_at float8)
    ON CONFLICT (destination_id) DO UPDATE SET (state, era, since, until, trips, in_row, recent,
        failing_since, failed_at, fails, told, told_by_mail, mailed_at) = (excluded.state,
        excluded.era, excluded.since, excluded.until, excluded.trips, excluded.in_row,
        excluded.recent, excluded.failing_since, excluded.failed_at, excluded.fails, excluded.told,
        excluded.told_by_mail, excluded.mailed_at)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of ``destination_circuit``, as of ``now``."""

    id: uuid.UUID
    breaker: Breaker
    streak: Streak
    told: bool
    told_by_mail: bool
    mailed_at: float | None
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A destination that is to be left alone from now on."""

    destination: Destination
    error: str
    by_mail: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a settle has found out: circuits that opened, and destinations that fail for days."""

    opened: Sequence[Opened]
    hopeless: frozenset[uuid.UUID]


def note(attempts: Sequence[tuple[Leased, Outcome]]) -> Seen:
    """Move the circuits of these attempts on; the caller holds the heads."""
    by_destination: dict[uuid.UUID, list[tuple[Leased, Outcome]]] = {}
    for row, outcome in attempts:
        by_destination.setdefault(row.destination_id, []).append((row, outcome))
    before = read(by_destination)
    moved = [_moved(before[pk], of) for pk, of in by_destination.items()]
    opened = [
        Opened(
            destination=by_destination[row.id][0][0].destination,
            error=_last_error(by_destination[row.id]),
            by_mail=row.told_by_mail,
        )
        for row in moved
        if row.told and not before[row.id].told
    ]
    write([row for row in moved if row != before[row.id]])
    long = settings.DELIVERY_AUTO_PAUSE_AFTER
    return Seen(opened, frozenset(row.id for row in moved if row.streak.is_longer_than(long)))


def read(ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Row]:
    """Return the circuits of destinations; one that has no row yet is closed."""
    with connection.cursor() as cursor:
        cursor.execute(READ, [list(ids)])
        return {row[0]: _read(row) for row in cursor.fetchall()}


def write(rows: Sequence[Row]) -> None:
    """Write circuits down."""
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(WRITE, [orjson.dumps([_item(row) for row in rows]).decode()])


def _moved(row: Row, attempts: Sequence[tuple[Leased, Outcome]]) -> Row:
    """Return the row after the attempts. An outage is told of once, however often it is probed."""
    signs = [(leased.era, sign_of(outcome)) for leased, outcome in attempts]
    breaker = after(row.breaker, signs, now=row.now, most=_most(attempts[0][0].destination))
    verdicts = [outcome.verdict for _, outcome in attempts if was_asked(outcome)]
    moved = replace(row, breaker=breaker, streak=streak_after(row.streak, verdicts, now=row.now))
    if breaker.state is not CircuitState.OPEN or row.told:
        return moved
    by_mail = row.mailed_at is None or row.now - row.mailed_at >= MAIL_EVERY
    mailed_at = row.now if by_mail else row.mailed_at
    return replace(moved, told=True, told_by_mail=by_mail, mailed_at=mailed_at)


def _most(destination: Destination) -> int:
    """Return up to how many sends a second the ramp is worth its while."""
    limit = destination.rate_limit
    if limit is None:
        return destination.max_concurrency
    a_second: int = limit["requests"] // limit["seconds"]
    return min(destination.max_concurrency, max(1, a_second))


def _last_error(attempts: Sequence[tuple[Leased, Outcome]]) -> str:
    errors = [str(one.error) for _, one in attempts if sign_of(one) is Sign.DOWN]
    return errors[-1] if errors else ""


def _read(row: Sequence[Any]) -> Row:
    return Row(
        id=row[0],
        breaker=Breaker(
            state=CircuitState(row[1]),
            era=row[2],
            since=row[3],
            until=row[4],
            trips=row[5],
            in_row=row[6],
            recent=tuple(row[7]),
        ),
        streak=Streak(since=row[8], last=row[9], fails=row[10]),
        told=row[11],
        told_by_mail=row[12],
        mailed_at=row[13],
        now=row[14],
    )


def _item(row: Row) -> dict[str, Any]:
    breaker, streak = row.breaker, row.streak
    return {
        "id": row.id,
        "state": breaker.state,
        "era": breaker.era,
        "since": breaker.since,
        "until": breaker.until,
        "trips": breaker.trips,
        "in_row": breaker.in_row,
        "recent": list(breaker.recent),
        "failing_since": streak.since,
        "failed_at": streak.last,
        "fails": streak.fails,
        "told": row.told,
        "told_by_mail": row.told_by_mail,
        "mailed_at": row.mailed_at,
    }
