"""A process's totals in a row of its own, written every ten seconds while it lives.

Totals only ever grow, also when processes end: what the dead had counted is added up in one row
(`fold_the_dead`). A process that was silent for so long that it was taken for dead finds its row
gone, and from then on writes only what it has counted since.
"""

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import orjson
from django.db import Error, connection
from prometheus_client import CollectorRegistry

from tasks_app.observability.metrics import REGISTRY

logger = logging.getLogger(__name__)

EVERY: Final = 10.0  # seconds
ENDED: Final = "ended"  # the row of those that are gone
GAUGES: Final = frozenset(
    {"aftercommit_stream_followers"}
)  # true of a moment, not added up for good

_UPDATE: Final = """
    UPDATE metric_report SET samples = %s::jsonb, seen_at = statement_timestamp()
    WHERE process = %s
"""
_INSERT: Final = """
    INSERT INTO metric_report (process, role, samples, seen_at)
    VALUES (%s, %s, %s::jsonb, statement_timestamp())
"""


def samples_of(registry: CollectorRegistry) -> Iterator[tuple[str, float]]:
    """Yield each sample's key, which is its name and labels as JSON, and its value."""
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = sorted(sample.labels.items())
                yield orjson.dumps([sample.name, labels]).decode(), sample.value


class Report:
    """The row of one process."""

    def __init__(self, role: str, registry: CollectorRegistry = REGISTRY) -> None:
        self.role = role
        self._registry = registry
        self._process = f"{os.uname().nodename[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._base: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write once more and end; nothing where it never began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(EVERY)

    def write(self) -> None:
        """Write the totals now. Raises django.db.Error where PostgreSQL is away."""
        with self._lock, connection.cursor() as cursor:
            now = dict(samples_of(self._registry))
            cursor.execute(_UPDATE, [self._told(now), self._process])
            if not cursor.rowcount:
                self._base = self._written
                cursor.execute(_INSERT, [self._process, self.role, self._told(now)])
            self._written = now

    def _told(self, now: dict[str, float]) -> str:
        kept = {key: value - self._base.get(key, 0.0) for key, value in now.items()}
        return orjson.dumps({key: value for key, value in kept.items() if value}).decode()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._write_and_let_go()
        self._write_and_let_go()

    def _write_and_let_go(self) -> None:
        try:
            self.write()
        except Error:
            logger.debug("metrics_not_written", exc_info=True)
        finally:
            connection.close()


@cache
def _of(_pid: int, role: str) -> Report:
    return Report(role)


def report_as(role: str) -> Report:
    """Return this process's report; a fork has another. ``start`` lets it write by itself."""
    return _of(os.getpid(), role)


def fold_the_dead() -> int:
    """Add up what processes counted that were last seen an hour ago; returns how many.

    The caller has a transaction, and keeps a second one of these away.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM metric_report WHERE process <> %s"
            " AND seen_at < statement_timestamp() - interval '1 hour' RETURNING samples",
            [ENDED],
        )
        gone = [orjson.loads(row[0]) if isinstance(row[0], str) else row[0] for row in cursor]
        if gone:
            _add(gone)
    return len(gone)


def _add(gone: list[dict[str, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT samples FROM metric_report WHERE process = %s FOR UPDATE", [ENDED])
        row = cursor.fetchone()
        before = orjson.loads(row[0]) if row and isinstance(row[0], str) else row[0] if row else {}
        total = added([before, *gone])
        lasting = {k: v for k, v in total.items() if orjson.loads(k)[0] not in GAUGES}
        cursor.execute(
            "INSERT INTO metric_report (process, role, samples, seen_at)"
            " VALUES (%s, '', %s::jsonb, statement_timestamp())"
            " ON CONFLICT (process) DO UPDATE SET samples = excluded.samples",
            [ENDED, orjson.dumps(lasting).decode()],
        )


def added(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the sums of all samples."""
    total: dict[str, float] = {}
    for row in rows:
        for key, value in row.items():
            total[key] = total.get(key, 0.0) + value
    return total
