"""Gates hold across workers: one probe, 1, 2, 4 … a second, and never more than the rate."""

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from tasks_app.connectors.base import ErrorCode, Outcome, Verdict
from tasks_app.delivery.due import NEVER, due_in
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle
from tasks_app.models import Circuit, Delivery, Destination, Workspace
from tests.support.backlog import backlog
from tests.support.clock import let_pass
from tests.support.engine import to
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
DOWN = Outcome(
    verdict=Verdict.FAILED,
    status_code=503,
    error=ErrorCode.HTTP_5XX,
    phases={},
    duration_ms=1.0,
)
OURS = Outcome(verdict=Verdict.FAULT, error=ErrorCode.FAULT, phases={}, duration_ms=1.0)
NOWHERE = "http://127.0.0.1:9/"


def four_lease(wanted: int = 100) -> list[Leased]:
    """Let four workers lease at the same moment; return all that they got."""
    together = threading.Barrier(4)
    futures = [in_thread(partial(_take, f"w{n}", together, wanted)) for n in range(4)]
    return [row for future in futures for row in future.result(DEADLINE)]


def moments(rows: Sequence[Leased]) -> list[datetime]:
    """Return when they were leased, by the database's clock."""
    ids = [row.delivery_id for row in rows]
    found = Delivery.objects.filter(pk__in=ids).values_list("trying_since", flat=True)
    return [at for at in found if at is not None]


def _take(worker: str, together: threading.Barrier, wanted: int) -> list[Leased]:
    together.wait(DEADLINE)
    return lease(worker=worker, wanted=wanted)


def end(rows: Sequence[Leased], outcome: Outcome) -> None:
    assert settle([Ended(row, outcome) for row in rows]) == len(rows)


def tripped(workspace: Workspace, **fields: Any) -> Destination:
    """Return a destination whose circuit has opened, with much to send."""
    there = to(workspace, NOWHERE, **fields)
    backlog(there, 600)
    failed: list[Leased] = []
    while len(failed) < 5:
        rows = lease(worker="w", wanted=10)
        end(rows[: 5 - len(failed)], DOWN)
        failed += rows[: 5 - len(failed)]
        give_back([row for row in rows if row not in failed])
    assert state(there) == "open"
    return there


def state(of: Destination) -> str:
    return str(Circuit.objects.get(pk=of.pk).state)


def test_an_open_circuit_lets_nothing_through_and_says_when_it_will(workspace: Workspace) -> None:
    there = tripped(workspace)
    assert four_lease() == []
    assert due_in(ahead=0.5) == NEVER
    assert 25 < due_in(ahead=60) <= 30
    let_pass(there, 10)
    assert four_lease() == []
    assert 0 < due_in(ahead=60) <= 20


def test_exactly_one_of_four_workers_probes(workspace: Workspace) -> None:
    there = tripped(workspace)
    for _ in range(8):
        let_pass(there, 601)
        (probe,) = four_lease()
        assert four_lease() == []
        assert due_in(ahead=1) == NEVER  # its settling will tell
        end([probe], DOWN)
        assert state(there) == "open"
        assert four_lease() == []


def test_a_probe_that_is_given_back_or_failed_by_us_is_not_the_last(workspace: Workspace) -> None:
    there = tripped(workspace)
    let_pass(there, 31)
    (probe,) = four_lease()
    assert give_back([probe]) == []
    (again,) = four_lease()
    end([again], OURS)
    assert state(there) == "open"
    assert len(four_lease()) == 1


def test_no_destination_waits_for_another_s_probe(workspace: Workspace) -> None:
    down = tripped(workspace)
    up = to(workspace, NOWHERE, name="up")
    backlog(up, 20)
    let_pass(down, 31)
    rows = four_lease()
    assert sorted(row.destination_id == up.pk for row in rows) == [False] + [True] * 10


def test_a_ramp_lets_1_2_4_8_through_a_second_over_four_workers(workspace: Workspace) -> None:
    there = tripped(workspace, max_concurrency=100)
    let_pass(there, 31)
    end(four_lease(), DONE)
    began = Circuit.objects.get(pk=there.pk).since
    steps: Counter[int] = Counter()
    for passed in range(6):
        latest = -1
        while latest < 6 and (rows := four_lease()):
            now = [int((at - began).total_seconds()) + passed for at in moments(rows)]
            latest = max(now)
            steps.update(now)
            end(rows, DONE)
        if latest >= 6:
            break
        assert steps[latest] == 2**latest  # nothing more to be had: its share is used up
        assert due_in(ahead=1) <= 1
        let_pass(there, 1)
    assert state(there) == "ramping"
    assert all(count <= 2**step for step, count in steps.items())
    assert max(steps) >= 5


def test_a_ramp_never_exceeds_max_concurrency(workspace: Workspace) -> None:
    there = tripped(workspace, max_concurrency=3)
    let_pass(there, 31)
    end(four_lease(), DONE)
    let_pass(there, 6)
    assert len(four_lease()) == 3


def test_a_ramp_that_fails_opens_again_for_longer(workspace: Workspace) -> None:
    there = tripped(workspace, max_concurrency=100)
    let_pass(there, 31)
    end(four_lease(), DONE)
    let_pass(there, 3)
    rows = four_lease()
    assert len(rows) == 8
    end(rows, DOWN)
    row = Circuit.objects.get(pk=there.pk)
    assert (row.state, row.trips) == ("open", 2)
    assert row.until is not None
    assert (row.until - row.since).total_seconds() == pytest.approx(60)


def test_late_outcomes_from_before_the_opening_change_nothing(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, max_concurrency=20)
    backlog(there, 60)
    rows = lease(worker="w", wanted=41)
    assert len(rows) == 20
    end(rows[:5], DOWN)
    before = Circuit.objects.get(pk=there.pk)
    assert before.state == "open"
    end(rows[5:10], DONE)
    end(rows[10:15], DOWN)
    after = Circuit.objects.get(pk=there.pk)
    assert (after.state, after.era, after.until) == (before.state, before.era, before.until)
    let_pass(there, 31)
    (probe,) = lease(worker="w", wanted=41)
    end(rows[15:18], DONE)  # not the probe: says nothing about now
    assert state(there) == "open"
    end([probe], DONE)
    end(rows[18:], DOWN)
    assert state(there) == "ramping"


@pytest.mark.parametrize(("requests", "seconds"), [(1, 1), (7, 1), (30, 60), (25, 3600)])
def test_no_window_of_a_rate_ever_holds_more(
    workspace: Workspace, requests: int, seconds: int
) -> None:
    """Over four workers, at every twentieth of three windows."""
    limit = {"requests": requests, "seconds": seconds}
    there = to(workspace, NOWHERE, max_concurrency=100, rate_limit=limit)
    backlog(there, 400)
    step, sent = timedelta(seconds=seconds / 20), list[datetime]()
    for number in range(66):
        rows = four_lease(25)
        sent += [at + number * step for at in moments(rows)]
        end(rows, DONE)
        let_pass(there, step.total_seconds())
    sent.sort()
    window = timedelta(seconds=seconds)
    assert all(later - one >= window for one, later in zip(sent, sent[requests:], strict=False))
    assert len(sent) >= 3 * requests


def test_waiting_for_a_rate_costs_neither_attempt_nor_slot(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, rate_limit={"requests": 3, "seconds": 3600})
    backlog(there, 50)
    rows = four_lease()
    assert len(rows) == 3
    assert four_lease() == []
    waiting = Delivery.objects.filter(state="pending")
    assert set(waiting.values_list("attempts", "failures", "leases")) == {(0, 0, 0)}
    assert due_in(ahead=1) == NEVER  # no bell rings in vain
    assert 3500 < due_in(ahead=4000) < 3800
    end(rows, DONE)
    assert four_lease() == []


def test_a_rate_is_shared_by_what_the_circuit_lets_through(workspace: Workspace) -> None:
    """Whichever is the smaller: the ramp's share or the rate."""
    there = tripped(workspace, max_concurrency=100, rate_limit={"requests": 6, "seconds": 60})
    let_pass(there, 70)
    end(four_lease(), DONE)
    assert len(four_lease()) <= 2
    let_pass(there, 8)
    sent = Delivery.objects.filter(state="leased").count()
    assert len(four_lease()) == 5 - sent  # six a minute, one of them the probe


def test_a_lifted_or_changed_rate_holds_from_then_on(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, rate_limit={"requests": 2, "seconds": 3600})
    backlog(there, 50)
    assert len(four_lease()) == 2
    Destination.objects.filter(pk=there.pk).update(rate_limit={"requests": 5, "seconds": 3600})
    assert len(four_lease()) == 3
    Destination.objects.filter(pk=there.pk).update(rate_limit=None)
    assert len(four_lease()) == 5  # max_concurrency, less what is under way


def test_a_lease_that_rolls_back_has_let_nothing_through(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, rate_limit={"requests": 2, "seconds": 3600})
    backlog(there, 5)
    with transaction.atomic():
        assert len(lease(worker="w", wanted=10)) == 2
        transaction.set_rollback(True)
    assert len(lease(worker="w", wanted=10)) == 2
