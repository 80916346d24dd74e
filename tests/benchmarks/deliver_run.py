"""One side of the delivery benchmark, in a process that knows its servers by environment.

``python -m tests.benchmarks.deliver_run engine|naive SANDBOX_URL COUNT`` prints one JSON line.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402

from tasks_app.events.commit_hook import ring_drain  # noqa: E402
from tasks_app.models import Delivery, Destination  # noqa: E402
from tests.benchmarks.naive_delivery import deliver  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.backlog import backlog  # noqa: E402
from tests.support.engine import to  # noqa: E402
from tests.support.worker import CELERY, WORKER, Running, environment  # noqa: E402

DESTINATIONS = 4
PATIENCE = 90.0  # seconds
NAIVE = ("-m", "celery", "--quiet", "-A", "tests.benchmarks.naive_delivery")


def main(side: str, sandbox: str, count: int) -> None:
    """Deliver a backlog of ``count``; print the rate and what it cost."""
    there = _destinations(sandbox, count)
    log = Path(tempfile.gettempdir()) / f"bench-deliver-{side}.log"
    command = NAIVE if side == "naive" else CELERY
    running = _start((*command, *WORKER), log)
    try:
        _warm(side, there[0])
        took = _deliver(side, there)
    finally:
        running.kill()
    left = Delivery.objects.exclude(state="succeeded").count()
    print(json.dumps({"side": side, "count": count, "seconds": took, "left": left}))


def _destinations(sandbox: str, count: int) -> list[Destination]:
    workspace = factories.workspace()
    there = [
        to(workspace, f"{sandbox}/post", name=str(n), max_concurrency=50)
        for n in range(DESTINATIONS)
    ]
    Destination.objects.update(state="paused")
    for one in there:
        backlog(one, count // DESTINATIONS)
    return there


def _start(command: tuple[str, ...], log: Path) -> Running:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**environment(), "ROLE": "worker"},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    return Running(process, log)


def _warm(side: str, there: Destination) -> None:
    """Wait until the worker works: a delivery of its own has gone through."""
    Destination.objects.filter(pk=there.pk).update(state="active")
    Delivery.objects.filter(destination=there).update(next_attempt_at="2999-01-01T00:00:00Z")
    backlog(there, 20)
    ours = Delivery.objects.filter(destination=there).order_by("-sequence")[:20]
    mine = [row.pk for row in ours]
    ends = time.monotonic() + PATIENCE
    for pk in mine if side == "naive" else []:
        deliver.delay(str(pk))
    while Delivery.objects.filter(pk__in=mine, state="succeeded").count() < 20:
        assert time.monotonic() < ends, "the worker does not work"
        if side == "engine":
            ring_drain()
        time.sleep(0.2)
    Delivery.objects.filter(state="pending").update(next_attempt_at="2020-01-01T00:00:00Z")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE delivery")


def _deliver(side: str, there: list[Destination]) -> float:
    began = time.monotonic()
    if side == "naive":
        for pk in Delivery.objects.filter(state="pending").values_list("pk", flat=True):
            deliver.delay(str(pk))
    Destination.objects.filter(pk__in=[one.pk for one in there]).update(state="active")
    if side == "engine":
        time.sleep(0.01)
        ring_drain()
    while _open() and time.monotonic() - began < PATIENCE:
        time.sleep(0.02)
    return time.monotonic() - began


def _open() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM delivery WHERE ended_at IS NULL)")
        found: Any = cursor.fetchone()
    return bool(found[0])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
