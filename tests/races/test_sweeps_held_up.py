"""A workspace that is held up keeps the sweep from nobody else: no lease, no replay, no bell."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from tasks_app.actions.task import create_task
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import belts, replaying, sweep
from tasks_app.delivery.belts import follow_lost_chains, give_stuck_turns
from tasks_app.delivery.clear import cancel_of_deleted
from tasks_app.delivery.lease import lease
from tasks_app.delivery.ramp import close_ramps
from tasks_app.delivery.settle import Ended, settle
from tasks_app.events.record import lock_heads
from tasks_app.models import Circuit, Delivery, Destination, Replay, Workspace
from tests.support import factories
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.replays import replay
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)


def delivered(of: Workspace) -> Replay:
    """Return a replay of one event that has been delivered."""
    there = to(of, NOWHERE)
    create_task(workspace_id=of.pk, fields={"title": "t"}, cause=cause())
    settle([Ended(row, DONE) for row in lease(worker="w", wanted=9)])
    return replay(there, from_seq=1)


@contextmanager
def held(workspace: Workspace) -> Iterator[None]:
    """Hold the head of a workspace."""
    has, may_go = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            lock_heads([workspace.pk])
            has.set()
            may_go.wait(DEADLINE)

    holding: Future[None] = in_thread(hold)
    assert has.wait(DEADLINE)
    try:
        yield
    finally:
        may_go.set()
        holding.result(DEADLINE)


def no_patience() -> None:
    """Give up a lock after a moment, on this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 50")


@pytest.fixture(autouse=True)
def patience_again() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def test_a_replay_that_is_held_up_stops_no_other(workspace: Workspace) -> None:
    jobs = [delivered(workspace), delivered(factories.workspace())]
    with held(workspace):
        no_patience()
        replaying.replay_some()
    for job in jobs:
        job.refresh_from_db()
    assert [job.made for job in jobs] == [0, 1]


def test_a_job_that_is_held_up_keeps_neither_the_others_nor_the_bell_from_theirs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    to(workspace, NOWHERE)
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())
    lease(worker="nobody", wanted=1)
    elsewhere = factories.workspace()
    to(elsewhere, NOWHERE)
    create_task(workspace_id=elsewhere.pk, fields={"title": "t"}, cause=cause())
    rung: list[str] = []
    monkeypatch.setattr(sweep, "ring_drain", lambda: rung.append("bell"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery SET lease_expires_at = now() WHERE state = 'leased'")
    with held(workspace):
        no_patience()
        sweep.sweep()
    assert rung == ["bell"]


def of_a_deleted_destination(of: Workspace) -> Callable[[], bool]:
    there = to(of, NOWHERE)
    create_task(workspace_id=of.pk, fields={"title": "t"}, cause=cause())
    Destination.objects.filter(pk=there.pk).update(deleted_at=Now())
    return lambda: states(there) == ["cancelled"]


def of_a_ramp_that_is_over(of: Workspace) -> Callable[[], bool]:
    there = to(of, NOWHERE).pk
    circuit = Circuit.objects.create(destination_id=there, state="ramping", until=Now())
    return lambda: Circuit.objects.get(pk=circuit.pk).state == "closed"


def of_a_lost_turn(of: Workspace) -> Callable[[], bool]:
    there = to(of, NOWHERE)
    create_task(workspace_id=of.pk, fields={"title": "t"}, cause=cause())
    Delivery.objects.filter(destination=there).update(state="waiting")
    return lambda: states(there) == ["pending"]


def of_a_broken_chain(of: Workspace) -> Callable[[], bool]:
    first = to(of, NOWHERE)
    second = to(of, NOWHERE, name="second", after=first.pk)
    create_task(workspace_id=of.pk, fields={"title": "t"}, cause=cause())
    Delivery.objects.filter(destination=first).update(state="dead", ended_at=Now())
    return lambda: states(second) == ["cancelled"]


@pytest.mark.parametrize(
    ("job", "work"),
    [
        (cancel_of_deleted, of_a_deleted_destination),
        (close_ramps, of_a_ramp_that_is_over),
        (give_stuck_turns, of_a_lost_turn),
        (follow_lost_chains, of_a_broken_chain),
    ],
)
def test_what_is_to_be_cleared_up_waits_for_no_stranger(
    workspace: Workspace,
    job: Callable[[], int],
    work: Callable[[Workspace], Callable[[], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(belts, "_turns", belts.Walk())
    monkeypatch.setattr(belts, "_chains", belts.Walk())
    done = [work(workspace), work(factories.workspace())]
    with held(workspace):
        no_patience()
        job()
        assert [each() for each in done] == [False, True]
    job()
    assert [each() for each in done] == [True, True]
