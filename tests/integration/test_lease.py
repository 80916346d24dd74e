"""Claims: within each destination's cap, one of a task at a time, whatever the backlog."""

import json
import threading
import uuid
from collections import Counter
from functools import partial

import pytest
from django.db import connection, transaction

from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle
from tasks_app.models import Attempt, Delivery, Destination, Workspace
from tests.support.backlog import backlog
from tests.support.engine import to
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
NOWHERE = "http://127.0.0.1:9/"


def test_four_leasers_at_once_never_pass_a_destination_s_cap(workspace: Workspace) -> None:
    """Each round, four start together; between rounds some of the claims end."""
    there = to(workspace, NOWHERE, max_concurrency=10)
    backlog(there, 400)
    for _ in range(15):
        together = threading.Barrier(4)
        futures = [in_thread(partial(_take, f"w{n}", together)) for n in range(4)]
        rows = [row for future in futures for row in future.result(DEADLINE)]
        assert Delivery.objects.filter(state="leased").count() == 10
        assert settle([Ended(row, DONE) for row in rows[:7]]) == len(rows[:7])
    assert Counter(Attempt.objects.values_list("delivery_id")).most_common(1)[0][1] == 1


def _take(worker: str, together: threading.Barrier) -> list[Leased]:
    together.wait(DEADLINE)
    return lease(worker=worker, wanted=100)


def test_a_lowered_cap_waits_until_less_is_under_way(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, max_concurrency=10)
    backlog(there, 30)
    assert len(lease(worker="w", wanted=100)) == 10
    Destination.objects.filter(pk=there.pk).update(max_concurrency=3)
    assert lease(worker="w", wanted=100) == []


def test_destinations_share_a_batch(workspace: Workspace) -> None:
    flooded = to(workspace, NOWHERE, name="flooded", max_concurrency=100)
    quiet = to(workspace, NOWHERE, name="quiet", max_concurrency=100)
    backlog(flooded, 500)
    backlog(quiet, 5)
    taken = Counter(row.destination_id for row in lease(worker="w", wanted=20))
    assert taken == {flooded.pk: 7, quiet.pk: 5}


@pytest.mark.parametrize(
    ("many", "cap", "room"),
    [(1, 100, 50), (2, 100, 33), (12, 10, 8), (30, 10, 4), (70, 10, 2)],
)
def test_destinations_that_hang_leave_a_healthy_one_room(
    workspace: Workspace, many: int, cap: int, room: int
) -> None:
    """However many hang, and however much they may have under way."""
    for n in range(many):
        backlog(to(workspace, NOWHERE, name=f"hangs {n}", max_concurrency=cap), 110)
    free = 100
    while rows := lease(worker="w", wanted=free):
        free -= len(rows)
    assert free >= room
    healthy = to(workspace, NOWHERE, name="healthy")
    backlog(healthy, 3)
    (row, *_) = lease(worker="w", wanted=free)
    assert row.destination_id == healthy.pk


def test_a_worker_s_only_slot_is_used(workspace: Workspace) -> None:
    backlog(to(workspace, NOWHERE), 3)
    assert len(lease(worker="w", wanted=1)) == 1


def test_of_one_task_only_the_first_is_claimed(workspace: Workspace) -> None:
    """Even where both are due: the queue's own turns are checked again by the claim."""
    there = to(workspace, NOWHERE)
    task = uuid.uuid4()
    backlog(there, 3, task=task, state="pending")
    assert [row.sequence for row in lease(worker="w", wanted=10)] == [1]
    assert lease(worker="w", wanted=10) == []


@pytest.mark.parametrize(
    "change",
    [
        {"state": "paused"},
        {"state": "auto_paused"},
        {"deleted_at": "2020-01-01T00:00:00Z"},
        {"blocked_until": "2999-01-01T00:00:00Z"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_held_is_not_claimed(workspace: Workspace, change: dict[str, str]) -> None:
    there = to(workspace, NOWHERE)
    backlog(there, 3)
    Destination.objects.filter(pk=there.pk).update(**change)
    assert lease(worker="w", wanted=10) == []


def test_a_stale_claim_writes_nothing_at_all(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    backlog(there, 1)
    (sleeper,) = lease(worker="sleeper", wanted=1)
    assert give_back([sleeper]) == []
    (successor,) = lease(worker="successor", wanted=1)
    gone = Outcome(
        verdict=Verdict.GONE, status_code=410, phases={}, duration_ms=1.0, retry_after=60
    )
    assert settle([Ended(sleeper, gone)]) == 0
    row = Delivery.objects.get()
    assert (row.state, row.claim_id, row.attempts) == ("leased", successor.claim_id, 0)
    there.refresh_from_db()
    assert (there.state, there.blocked_until) == ("active", None)
    assert not Attempt.objects.exists()
    assert settle([Ended(successor, DONE)]) == 1
    assert settle([Ended(successor, DONE)]) == 0
    assert Attempt.objects.count() == 1


def test_the_cost_of_a_lease_does_not_grow_with_the_backlog(workspace: Workspace) -> None:
    """Counted in pages, not in time; the second plan was made while the table was small."""
    there = to(workspace, NOWHERE, max_concurrency=100)
    backlog(there, 200)
    small = max(_pages() for _ in range(8))
    backlog(there, 50_000)
    large = max(_pages() for _ in range(3))
    assert large < small * 2


def _pages() -> int:
    """Return how many pages a lease of 100 touches; the lease itself is undone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
            " SELECT * FROM aftercommit_lease('w'::text, 200, 30, false)"
        )
        found = cursor.fetchone()[0]
        transaction.set_rollback(True)
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    assert plan["Actual Rows"] == 100
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
