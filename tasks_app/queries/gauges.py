"""What waits, for /metrics: read from the rows when it is asked, at a cost with a bound.

Counts stop at MOST, ages need one look-up by index a destination and rank, and only the WORST
destinations are named; so neither a backlog of millions nor a thousand destinations make a scrape
slow, or its answer long.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.db import connection, transaction
from prometheus_client.core import GaugeMetricFamily

from tasks_app.queries.liveness import living_processes

MOST: Final = 100_000
LOOKED: Final = 20_000  # open deliveries, for those that wait behind others
WORST: Final = 20
PATIENCE: Final = 5000  # milliseconds for a statement
# There is an index with the order of each; what is left is one look-up by it a row.
PLANS_THAT_READ_ALL: Final = ("seqscan", "bitmapscan", "sort", "incremental_sort")

# Each state by an index of its own; those that wait have none, so the open ones are looked through.
_OPEN: Final = """
    SELECT 'pending', (SELECT count(*) FROM (
        SELECT 1 FROM delivery WHERE state = 'pending' LIMIT %(most)s) one)
    UNION ALL SELECT 'leased', (SELECT count(*) FROM (
        SELECT 1 FROM delivery WHERE state = 'leased' LIMIT %(most)s) one)
    UNION ALL SELECT 'waiting', (SELECT count(*) FROM (
        SELECT d.state FROM delivery d
        WHERE d.state IN ('waiting', 'pending', 'leased') AND d.task_id IS NOT NULL
        LIMIT %(looked)s) one WHERE one.state = 'waiting')
"""
# Of each destination with something due: since when, and what holds it back.
_DUE: Final = """
    SELECT w.slug, x.id::text, CASE WHEN x.state <> 'active' THEN x.state
            WHEN x.blocked_until > statement_timestamp() OR c.state IN ('open', 'ramping')
            THEN 'held' ELSE 'ready' END,
        extract(epoch FROM statement_timestamp() - f.due)::double precision
    FROM destination x
    JOIN workspace w ON w.id = x.workspace_id
    LEFT JOIN destination_circuit c ON c.destination_id = x.id
    CROSS JOIN LATERAL (
        SELECT min(r.due) AS due FROM generate_series(0, 3) ranks(rank) CROSS JOIN LATERAL (
            SELECT d.next_attempt_at AS due FROM delivery d
            WHERE d.destination_id = x.id AND d.state = 'pending' AND d.rank = ranks.rank
              AND d.next_attempt_at <= statement_timestamp()
            ORDER BY d.next_attempt_at, d.sequence LIMIT 1) r) f
    WHERE x.deleted_at IS NULL AND f.due IS NOT NULL
"""
_DESTINATIONS: Final = """
    SELECT x.state, coalesce(c.state, 'closed'), count(*)
    FROM destination x LEFT JOIN destination_circuit c ON c.destination_id = x.id
    WHERE x.deleted_at IS NULL GROUP BY 1, 2
"""
_NOTICES: Final = "SELECT count(*) FROM notice WHERE ended_at IS NULL"


def gauges() -> Iterator[GaugeMetricFamily]:
    """Yield what is so now. Raises django.db.Error where PostgreSQL is away or takes too long."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE)])
        for plan in PLANS_THAT_READ_ALL:
            cursor.execute(f"SET LOCAL enable_{plan} = off")
        yield _open()
        yield from _due()
        yield _destinations()
        cursor.execute(_NOTICES)
        count = cursor.fetchone()[0]
        yield GaugeMetricFamily("aftercommit_notices_unsent", "Mails to owners.", value=count)
        processes = GaugeMetricFamily(
            "aftercommit_processes", "Workers and beats seen in the last 6 s.", labels=["kind"]
        )
        living = living_processes()
        for kind in ("worker", "beat"):
            processes.add_metric([kind], living.get(kind, 0))
        yield processes


def _open() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "aftercommit_deliveries_open",
        f"Deliveries that have not ended, counted to {MOST}, those that wait for others among"
        f" {LOOKED}; leased ones are in flight.",
        labels=["state"],
    )
    for state, count in _rows(_OPEN, most=MOST, looked=LOOKED):
        family.add_metric([state], count)
    return family


def _due() -> Iterator[GaugeMetricFamily]:
    rows = _rows(_DUE)
    oldest = GaugeMetricFamily(
        "aftercommit_oldest_due_seconds",
        "For how long the oldest due delivery waits: ready ones for us, others for their"
        " destination.",
        labels=["destinations"],
    )
    for why in ("ready", "held", "paused", "auto_paused"):
        oldest.add_metric([why], max((age for *_, held, age in rows if held == why), default=0.0))
    yield oldest
    worst = GaugeMetricFamily(
        "aftercommit_destination_oldest_due_seconds",
        f"The same of the {WORST} destinations that are furthest behind.",
        labels=["workspace", "destination", "destinations"],
    )
    for slug, pk, why, age in sorted(rows, key=lambda row: -row[3])[:WORST]:
        worst.add_metric([slug, pk, why], age)
    yield worst


def _destinations() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "aftercommit_destinations",
        "Destinations by state and circuit.",
        labels=["state", "circuit"],
    )
    for state, circuit, count in _rows(_DESTINATIONS):
        family.add_metric([state, circuit], count)
    return family


def _rows(statement: str, **parameters: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
