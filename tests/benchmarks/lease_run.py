"""What a lease costs as destinations and backlogs grow: milliseconds, and pages touched.

``python -m tests.benchmarks.lease_run`` prints one JSON line.
"""

import json
import statistics
import time
from typing import Any

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from tasks_app.models import Delivery  # noqa: E402
from tasks_app.models.delivery import RANK_RETRY  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.backlog import backlog  # noqa: E402

TIMES = 40


def main() -> None:
    """Measure with few and with many destinations, three of them due, and with a flood."""
    workspace = factories.workspace()
    first = [factories.destination(workspace, max_concurrency=100) for _ in range(3)]
    for one in first:
        backlog(one, 30)
    costs = {"3 destinations, 3 due": _cost()}
    for _ in range(4997):
        factories.destination(workspace)
    _settle_down()
    costs["5,000 destinations, 3 due"] = _cost()
    _retries()
    _settle_down()
    costs["the same, and a retry at 4,997 that is due later"] = _cost()
    Delivery.objects.filter(rank=RANK_RETRY).delete()
    for _ in range(10):
        backlog(first[0], 10_000)
    _settle_down()
    costs["5,000 destinations, 3 due, one with 100,000 rows"] = _cost()
    _retries()
    _settle_down()
    costs["the same, and a retry at 4,997 that is due later, too"] = _cost()
    print(json.dumps(costs))


def _retries() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type,"
            " message_id, sequence, state, rank, next_attempt_at, attempts, failures, leases,"
            " leased_by, error, created_at)"
            " SELECT gen_random_uuid(), workspace_id, id, 1, 'task_created', gen_random_uuid(), 1,"
            " 'pending', 2, statement_timestamp() + interval '1 hour', 1, 1, 0, '', '',"
            " statement_timestamp() FROM destination ORDER BY id DESC LIMIT 4997"
        )


def _settle_down() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _cost() -> dict[str, Any]:
    """Return the medians of some leases, each undone, and of looks, and the pages of a lease."""
    return {
        "ms": _median("SELECT * FROM aftercommit_lease('w'::text, 100, 30, false)"),
        "look_ms": _median("SELECT aftercommit_due_in(0.5)"),
        "pages": _pages(),
    }


def _median(sql: str) -> float:
    took: list[float] = []
    for _ in range(TIMES):
        with transaction.atomic(), connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(sql)
            cursor.fetchall()
            took.append(time.perf_counter() - began)
            transaction.set_rollback(True)
    return round(statistics.median(took) * 1000, 2)


def _pages() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
            " SELECT * FROM aftercommit_lease('w'::text, 100, 30, false)"
        )
        found = cursor.fetchone()[0]
        transaction.set_rollback(True)
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


if __name__ == "__main__":
    main()
