"""Of each task every version arrives, and none after a later one, while drains are killed with -9.

A tenth of the requests is answered 500 at random, some tasks fail until the others are done, and
eight processes drain. `make chaos ARGS=order` runs it with ORDER_TASKS=1000 ORDER_VERSIONS=20.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from tasks_app.delivery.sweep import sweep
from tasks_app.models import Destination, Workspace
from tests.support.backlog import backlog
from tests.support.engine import make_due, to
from tests.support.receiver import Exchange
from tests.support.sink import Came, Sink, sink
from tests.support.worker import CHECKOUT, environment

TASKS = int(os.environ.get("ORDER_TASKS", "60"))
VERSIONS = int(os.environ.get("ORDER_VERSIONS", "6"))
DRAINS = int(os.environ.get("ORDER_DRAINS", "3"))
KILLS = int(os.environ.get("ORDER_KILLS", "2"))
REPORT = os.environ.get("ORDER_REPORT", "")
SEED = int(os.environ.get("SEED", "1"))
FLAKY = 0.2  # of the requests of every second task: a tenth of all
IN_FLIGHT = 40
SOON = [1, 1, 2, 2, 3, 3, 5, 5, *[60] * 22]  # seconds
PATIENCE = 60 + TASKS * VERSIONS / 20  # seconds
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(2 * PATIENCE + 60)]


class Outside:
    """A destination: even tasks are well, odd ones flaky, every twentieth fails until let go."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.let_go = threading.Event()
        self.done: dict[int, set[int]] = defaultdict(set)  # events, by the task's place
        self.failures = 0
        self._in_a_row = 0
        self._dice = random.Random(SEED)

    async def answer(self, came: Came, exchange: Exchange) -> None:
        """Answer by the task's place; never five 500 in a row, which would open the circuit."""
        place = self.places[came.task]
        if fails_for_now(place) and not self.let_go.is_set():
            await exchange.answer(422)  # its own fault: no reason to leave the others alone
        elif place % 2 and self._in_a_row < 3 and self._dice.random() < FLAKY:
            self.failures += 1
            self._in_a_row += 1
            await exchange.answer(500)
        else:
            self._in_a_row = 0
            self.done[place].add(came.data["seq"])
            await exchange.answer()


def fails_for_now(place: int) -> bool:
    return place % 20 == 1


def is_well(place: int) -> bool:
    return place % 2 == 0


@contextlib.contextmanager
def drains() -> Iterator["list[subprocess.Popen[bytes]]"]:
    """Run so many processes that drain; whoever kills one puts another into the list."""
    running = [a_drain() for _ in range(DRAINS)]
    try:
        yield running
    finally:
        for one in running:
            one.kill()
            one.wait()


def a_drain() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.drain_forever"],
        cwd=CHECKOUT,
        env={**environment(), "ROLE": "worker"},
    )


def write(there: Destination) -> dict[str, int]:
    """Commit every version of every task; return the tasks' places by id."""
    places = {str(uuid.uuid4()): place for place in range(TASKS)}
    for task in places:
        backlog(there, VERSIONS, task=uuid.UUID(task))
    return places


def test_no_version_arrives_after_a_later_one_and_who_fails_holds_up_no_other(
    workspace: Workspace,
) -> None:
    outside = Outside()
    with sink(outside.answer) as out:
        there = to(workspace, out.url, max_concurrency=IN_FLIGHT, retry_schedule=SOON)
        outside.places = write(there)
        _drain_while_some_fail(outside, out)
    report(out, outside)
    check_order(out, in_flight=IN_FLIGHT * KILLS)


def _drain_while_some_fail(outside: Outside, out: Sink) -> None:
    """Drain until all who are well have got everything; only then let the others succeed."""
    well = [place for place in range(TASKS) if is_well(place)]
    with drains() as running:
        kill_as_they_go(out, running)
        wait_for(lambda: all(len(outside.done[place]) == VERSIONS for place in well))
        failing = [place for place in range(TASKS) if fails_for_now(place)]
        assert failing
        assert not any(outside.done[place] for place in failing)  # they are still being tried
        outside.let_go.set()
        make_due()
        wait_for(all_have_ended)


def kill_as_they_go(out: Sink, running: "list[subprocess.Popen[bytes]]") -> None:
    """Kill one after each further share of the requests, and start another in its place."""
    dice = random.Random(SEED)
    for number in range(1, KILLS + 1):
        share = TASKS * VERSIONS * number // (KILLS + 2)
        wait_for(lambda share=share: len(out.came) > share)  # type: ignore[misc]
        place = dice.randrange(len(running))
        running[place].kill()
        running[place].wait()
        running[place] = a_drain()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait, and sweep meanwhile as beat would."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        sweep()
        time.sleep(0.2)


def all_have_ended() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM delivery WHERE state IN ('waiting', 'pending', 'leased')"
        )
        return bool(cursor.fetchone()[0] == 0)


def check_order(out: Sink, *, in_flight: int) -> None:
    """Every version came, in order; a second request only for what was in flight at a kill."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for came in out.came:
        by_task[came.task].append(came.data["seq"])
    assert len(by_task) == TASKS
    for seqs in by_task.values():
        assert seqs == sorted(seqs)
        assert len(set(seqs)) == VERSIONS
    doubled = sum(count - 1 for count in Counter((c.id, c.attempt) for c in out.came).values())
    assert doubled <= in_flight


def report(out: Sink, outside: Outside) -> None:
    """Write the figures down where ORDER_REPORT names a file."""
    figures = {
        "tasks": TASKS,
        "versions": VERSIONS,
        "drains": DRAINS,
        "drains killed": KILLS,
        "requests": len(out.came),
        "answered 500": outside.failures,
        "doubles": sum(n - 1 for n in Counter((c.id, c.attempt) for c in out.came).values()),
    }
    if REPORT:
        Path(REPORT).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
