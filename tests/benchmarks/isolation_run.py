"""One run of the isolation benchmark, in a process that knows its servers by environment.

``python -m tests.benchmarks.isolation_run alone|beside GOOD BAD`` prints one JSON line.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import django

django.setup()

from django.db import connection  # noqa: E402

from tasks_app.actions.task import create_task  # noqa: E402
from tasks_app.models import Attempt, Delivery, Destination, Workspace  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.backlog import backlog  # noqa: E402
from tests.support.engine import to  # noqa: E402
from tests.support.factories import cause  # noqa: E402
from tests.support.worker import beat, worker  # noqa: E402

WORKSPACES, EACH = 14, 7  # 98 healthy destinations
FLOOD = int(os.environ.get("BENCH_FLOOD", "100000"))
FLOOD_PATH = os.environ.get("BENCH_FLOOD_PATH", "delay/0.1")
SECONDS = float(os.environ.get("BENCH_SECONDS", "45"))
CHANGES = float(os.environ.get("BENCH_CHANGES", "10"))  # a second; each goes to seven
PATIENCE = 60.0  # seconds


def main(side: str, good: str, bad: str) -> None:
    """Measure from commit to arrival at the healthy; print what came of it."""
    spaces = _healthy(good)
    strangers = _strangers(spaces, bad) if side == "beside" else []
    folder = Path(tempfile.mkdtemp(prefix="bench-isolation-"))
    with ExitStack() as stack:
        stack.enter_context(worker(folder))
        stack.enter_context(beat(folder))
        _commit(spaces, 2 * WORKSPACES)
        _wait(strangers)
        Destination.objects.filter(pk__in=[one.pk for one in strangers]).update(state="active")
        time.sleep(1.0)
        last = _last(good)
        committed = _commit(spaces, int(SECONDS * CHANGES))
        _wait(strangers)
        latencies = _latencies(good, last, committed)
        told = _told(strangers)
    print(json.dumps({"side": side, **_summary(latencies, len(committed)), **told}))


def _healthy(good: str) -> list[Workspace]:
    spaces = [factories.workspace() for _ in range(WORKSPACES)]
    for space in spaces:
        for number in range(EACH):
            to(space, f"{good}/post", name=str(number))
    return spaces


def _strangers(spaces: Sequence[Workspace], bad: str) -> list[Destination]:
    """Return one that hangs to its deadline and one that is flooded, in workspaces of healthy."""
    hangs = to(spaces[0], f"{bad}/hang", name="hangs")
    flooded = to(spaces[1], f"{bad}/{FLOOD_PATH}", name="flooded")
    Destination.objects.filter(pk__in=[hangs.pk, flooded.pk]).update(state="paused")
    backlog(hangs, 1000)
    for _ in range(0, FLOOD, 10_000):  # each within the statement's time
        backlog(flooded, min(FLOOD, 10_000))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE delivery")
        cursor.execute("VACUUM ANALYZE event")
    return [hangs, flooded]


def _commit(spaces: Sequence[Workspace], count: int) -> dict[str, float]:
    """Make so many changes at a steady rate; return when each was committed."""
    committed, began = {}, time.time()
    for number in range(count):
        time.sleep(max(0.0, began + number / CHANGES - time.time()))
        space = spaces[number % len(spaces)]
        task = create_task(workspace_id=space.pk, fields={"title": "t"}, cause=cause())
        committed[str(task.pk)] = time.time()
    return committed


def _wait(strangers: Sequence[Destination]) -> None:
    """Wait until all that is for the healthy has arrived."""
    ends = time.monotonic() + PATIENCE
    rows = Delivery.objects.exclude(destination__in=[one.pk for one in strangers]).unfinished()
    while rows.exists():
        assert time.monotonic() < ends, "the healthy have not got everything"
        time.sleep(0.1)


def _last(good: str) -> int:
    with urlopen(f"{good}/received?after=0&limit=5000", timeout=10) as answer:
        return max(int(one["n"]) for one in json.load(answer)["received"])


def _latencies(good: str, last: int, committed: dict[str, float]) -> list[float]:
    found: list[float] = []
    while True:
        with urlopen(f"{good}/received?after={last}&limit=5000", timeout=10) as answer:
            page: list[dict[str, Any]] = json.load(answer)["received"]
        if not page:
            return found
        last = page[-1]["n"]
        for one in page:
            task = json.loads(one["body"])["data"]["task"]["id"]
            found.append(datetime.fromisoformat(one["at"]).timestamp() - committed[task])


def _told(strangers: Sequence[Destination]) -> dict[str, int]:
    return {
        one.name: Attempt.objects.filter(delivery__destination=one).count() for one in strangers
    }


def _summary(latencies: list[float], changes: int) -> dict[str, Any]:
    ordered = sorted(latencies)
    at = {share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99)}
    return {
        "changes": changes,
        "deliveries": len(ordered),
        "p50_ms": round(at[0.5] * 1000, 1),
        "p99_ms": round(at[0.99] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


if __name__ == "__main__":
    main(*sys.argv[1:4])
