"""One run of the admin over rows that are made for it.

``python -m tests.benchmarks.admin_run COUNT`` prints one JSON line.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from tasks_app.models import Delivery, Task, Workspace  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.admin_pages import address, logged_in, staff  # noqa: E402

DESTINATIONS = 10
ASKED = 5
ID = "(lpad(to_hex(1700000000000 + i), 12, '0') || '7000800000000000000' || '0')::uuid"
TASKS = f"""
    INSERT INTO task (id, workspace_id, number, title, description, status, priority, assignee,
        labels, metadata, version, created_by, created_at, updated_at, external_id)
    SELECT {ID}, %(workspace)s, i, 'Renew contract ' || i, '',
        (ARRAY['open', 'in_progress', 'done', 'cancelled'])[1 + i %% 4],
        CASE WHEN i %% 1000 = 0 THEN 'urgent' ELSE 'normal' END, '', '{{}}', '{{}}', 1, '',
        now() - (%(rows)s - i) * interval '1 s', now(), 'ext-' || i
    FROM generate_series(1, %(rows)s) i
"""
DELIVERIES = f"""
    INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type, task_id,
        message_id, sequence, state, rank, next_attempt_at, attempts, failures, leases, leased_by,
        error, created_at, ended_at)
    SELECT {ID}, %(workspace)s, (%(destinations)s::uuid[])[1 + i %% 10], i, 'task_created', {ID},
        {ID}, i, CASE i %% 1000 WHEN 0 THEN 'dead' WHEN 1 THEN 'pending' ELSE 'succeeded' END, 1,
        now(), 1, 0, 1, '', '', now(), CASE i %% 1000 WHEN 1 THEN NULL ELSE now() END
    FROM generate_series(1, %(rows)s) i
"""


def main(count: int) -> None:
    """Fill a workspace, look at each page a few times, and tell how long that took."""
    workspace = factories.workspace("many")
    there = [factories.destination(workspace).pk for _ in range(DESTINATIONS)]
    known: dict[str, Any] = {"workspace": workspace.pk, "destinations": there, "rows": count}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in (TASKS, DELIVERIES):
            cursor.execute(statement, known)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")
    operator = logged_in(User.objects.create_superuser("olivia"))
    viewer = staff(workspace, "viewer")
    took = {}
    for page in pages(workspace, str(there[0])):
        for who, browser in (("operator", operator), ("viewer", viewer)):
            took[f"{page} ({who})"] = _timed(browser, page)
    print(json.dumps(took))


def pages(of: Workspace, destination: str) -> Iterator[str]:
    """Yield the lists, each also filtered and searched."""
    tasks, deliveries = address(Task, "changelist"), address(Delivery, "changelist")
    here = f"?workspace={of.slug}"
    for query in ("", here, f"{here}&p=20", "?status__exact=done", "?priority__exact=urgent"):
        yield tasks + query
    for term in (Task.objects.latest("id").pk, "%2377", "ext-77", "renew", "contract+77", "none"):
        yield f"{tasks}?q={term}"
    for query in ("", here, f"?destination__id__exact={destination}"):
        yield deliveries + query
    for state in ("dead", "pending", "waiting", "succeeded"):
        yield f"{deliveries}?state={state}"
        yield f"{deliveries}{here}&state={state}"
    yield f"{deliveries}?q={Task.objects.latest('id').pk}"


def _timed(browser: Client, page: str) -> dict[str, float]:
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = browser.get(page, headers={"Host": "localhost"})
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{page}: {answer.status_code}")
    return {"median_ms": statistics.median(took), "max_ms": max(took)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
