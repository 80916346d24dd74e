"""One run of stats over a backlog that is made for it.

``python -m tests.benchmarks.stats_run COUNT`` prints one JSON line.
"""

import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import Final

import django

django.setup()

from django.db import connection  # noqa: E402

from tasks_app.models import Workspace  # noqa: E402
from tasks_app.queries.backlog import backlogs  # noqa: E402
from tasks_app.queries.delivery_stats import attempt_counts  # noqa: E402
from tasks_app.queries.workspace_stats import tasks_by_status, tasks_by_sync  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.backlog import backlog  # noqa: E402
from tests.support.callers import caller  # noqa: E402

DESTINATIONS: Final = 10
ASKED: Final = 5
TASKS: Final = """
    INSERT INTO task (id, workspace_id, number, title, description, status, priority, assignee,
        labels, metadata, version, created_by, created_at, updated_at)
    SELECT d.task_id, d.workspace_id, row_number() OVER (), 't', '', 'open', 'normal', '',
        '{}', '{}', 1, '', statement_timestamp(), statement_timestamp()
    FROM delivery d WHERE d.workspace_id = %s
"""
SYNC: Final = """
    INSERT INTO task_sync (task_id, workspace_id, state)
    SELECT id, workspace_id, 'scheduled' FROM task WHERE workspace_id = %s
"""


def main(count: int) -> None:
    """Make a backlog, ask, and tell how long that took."""
    workspace = factories.workspace()
    there = [factories.destination(workspace) for _ in range(DESTINATIONS)]
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for one in there:
            backlog(one, count // DESTINATIONS)
        cursor.execute(TASKS, [workspace.pk])
        cursor.execute(SYNC, [workspace.pk])
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")
    api = caller(workspace)
    api.headers["Host"] = "localhost"
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = api.get("stats/")
        took.append((time.perf_counter() - began) * 1000)
    body = answer.body
    result = {
        "asked": ASKED,
        "median_ms": statistics.median(took),
        "max_ms": max(took),
        "parts": _parts(workspace, [one.pk for one in there]),
        "right": (body["backlog"]["pending"], body["tasks"]["total"]) == (count, count),
    }
    print(json.dumps(result))


def _parts(of: Workspace, destinations: list[uuid.UUID]) -> dict[str, float]:
    """Return how long each of its questions takes alone."""
    return {
        "tasks by status": _timed(lambda: tasks_by_status(of.pk)),
        "tasks by sync": _timed(lambda: tasks_by_sync(of.pk)),
        "backlogs": _timed(lambda: backlogs(destinations)),
        "attempts": _timed(lambda: attempt_counts(destinations)),
    }


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]))
