"""One run of retention over a past that is made for it.

``python -m tests.benchmarks.retention_run COUNT`` prints one JSON line.
"""

import json
import statistics
import sys
import time

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from tasks_app.delivery.retention import forget_some, look_again  # noqa: E402
from tasks_app.models import Attempt, Delivery, Event  # noqa: E402
from tests.support import factories  # noqa: E402

DESTINATIONS = 10
PAST = """
    WITH told AS (
        INSERT INTO event (id, workspace_id, seq, schema, type, at, actor, request_id, traceparent,
            task_id, data)
        SELECT gen_random_uuid(), %(workspace)s, n, 1, 'task_created',
            statement_timestamp() - make_interval(days => %(days)s::integer), '{}', '', '',
            gen_random_uuid(),
            jsonb_build_object('task', jsonb_build_object('title', repeat('t', 100)))
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
    ), made AS (
        INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type, task_id,
            message_id, sequence, state, rank, next_attempt_at, attempts, failures, leases,
            leased_by, error, created_at, ended_at)
        SELECT aftercommit_uuid7(), %(workspace)s, (%(destinations)s::uuid[])[1 + n %% 10], n,
            'task_created', gen_random_uuid(), gen_random_uuid(), n, 'succeeded', 1,
            statement_timestamp(), 1, 0, 0, '', '', statement_timestamp(), statement_timestamp()
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) n RETURNING id
    )
    INSERT INTO attempt (id, delivery_id, number, started_at, duration_ms, phases, failed_phase,
        error, detail, response_excerpt)
    SELECT aftercommit_uuid7(), m.id, 1, statement_timestamp(), 1, '{}', '', '', '', 'ok'
    FROM made m
"""


def main(count: int) -> None:
    """Make a past, forget it, and tell how long that took."""
    workspace = factories.workspace()
    there = [factories.destination(workspace).pk for _ in range(DESTINATIONS)]
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for first in range(1, count + count // 10 + 1, 20_000):
            days = 1000 if first <= count else 0
            last = min(first + 19_999, count if days else count + count // 10)
            parameters = {"first": first, "last": last, "days": days}
            cursor.execute(PAST, {**parameters, "workspace": workspace.pk, "destinations": there})
        cursor.execute(
            "UPDATE workspace_head SET seq = %s WHERE workspace_id = %s",
            [count + count // 10, workspace.pk],
        )
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")
    took, rows = _forget()
    left = [model.objects.count() for model in (Event, Delivery, Attempt)]
    result = {
        "rows": rows,
        "seconds": sum(took),
        "steps": len(took),
        "median_ms": statistics.median(took) * 1000,
        "max_ms": max(took) * 1000,
        "right": left == [count // 10] * 3,
    }
    print(json.dumps(result))


def _forget() -> tuple[list[float], int]:
    """Take steps until nothing is left; return how long each took, and how many rows went."""
    look_again()
    took: list[float] = []
    rows, done = 0, 1
    while done:
        began = time.perf_counter()
        with transaction.atomic():
            done = forget_some()
        took.append(time.perf_counter() - began)
        rows += done
    return took, rows


if __name__ == "__main__":
    main(int(sys.argv[1]))
