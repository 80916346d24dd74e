"""Whose worker is silent, stopped or gone loses its leases; whose worker lives keeps them."""

import contextlib
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from tasks_app.actions.task import create_task
from tasks_app.delivery import sweep as sweep_module
from tasks_app.delivery.beats import Beats, beat
from tasks_app.delivery.lease import lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.sweep import sweep
from tasks_app.delivery.take_over import take_over
from tasks_app.delivery.worker import Turn
from tasks_app.models import Attempt, Delivery, DeliveryState, ProcessBeat, Workspace
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.engine import deliver, engine, is_due, states, to, told
from tests.support.sink import held, sink
from tests.support.threads import DEADLINE, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def _long_running_server(request: pytest.FixtureRequest) -> None:
    """Wait until the server has run for longer than a worker's silence, as take_over() does."""
    if "settings" not in request.fixturenames:
        until(_is_settled, "PostgreSQL has run for 8 s")


def _is_settled() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time() < now() - interval '8.1 seconds'")
        return bool(cursor.fetchone()[0])


def silence(worker: str, seconds: float) -> None:
    """Let a worker's last beat be so long ago."""
    beat(worker, "worker")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE process_beat SET seen_at = statement_timestamp() - make_interval(secs => %s)"
            " WHERE name = %s",
            [seconds, worker],
        )


def test_a_silent_worker_s_leases_are_taken_over(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    backlog(there, 5)
    silence("dead", 6.5)
    silence("alive", 4.0)
    lost = lease(worker="dead", wanted=6)  # as much stays free
    lease(worker="alive", wanted=4)
    assert take_over() == 3
    assert {row.pk for row in Delivery.objects.filter(state="pending")} == {
        row.delivery_id for row in lost
    }
    assert is_due()


def test_a_worker_without_any_beat_is_silent(workspace: Workspace) -> None:
    backlog(to(workspace, NOWHERE), 1)
    lease(worker="never heard", wanted=1)
    assert take_over() == 1


def test_right_after_a_restart_nobody_is_taken_for_dead(
    workspace: Workspace, settings: Settings
) -> None:
    """All have been silent while PostgreSQL was away."""
    settings.DELIVERY_WORKER_SILENCE = 10**7
    backlog(to(workspace, NOWHERE), 1)
    lease(worker="never heard", wanted=1)
    assert take_over() == 0


def test_an_expired_lease_is_taken_over_from_a_living_worker(workspace: Workspace) -> None:
    backlog(to(workspace, NOWHERE), 1)
    beat("alive", "worker")
    lease(worker="alive", wanted=1)
    Delivery.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    assert take_over() == 1


def test_what_keeps_killing_workers_ends_dead_as_poison(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    backlog(there, 2, task=workspace.pk)
    for _ in range(20):
        assert len(lease(worker="victim", wanted=1)) == 1
        assert take_over() == 1
    assert states(there) == ["dead", "pending"]
    first = Delivery.objects.get(sequence=1)
    assert (first.error, first.leases, first.attempts) == ("poison", 20, 0)
    assert told(workspace) == ["task_created", "task_created", "task_sync_failed"]
    assert factories.log(workspace)[-1].data["delivery"]["error"] == "poison"


def test_an_outcome_resets_the_count_to_poison(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        backlog(there, 1)
        for _ in range(19):
            lease(worker="victim", wanted=1)
            take_over()
        deliver()
    assert Delivery.objects.get().state == DeliveryState.SUCCEEDED
    assert Delivery.objects.get().leases == 0


def test_a_lease_whose_commit_was_never_heard_of_is_taken_back(workspace: Workspace) -> None:
    """The connection broke after the commit: the rows are leased to a worker that lives."""
    backlog(to(workspace, NOWHERE), 2)
    beat("w", "worker")
    lease(worker="w", wanted=4)  # as much stays free
    rows = DatabaseLedger("w").lease(4)
    assert rows is not None
    assert len(rows) == 2


def test_a_sleeper_finds_its_outcome_refused_and_gives_back_what_it_has_not_begun(
    workspace: Workspace,
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 1)
        with engine() as sleeper, contextlib.closing(Turn()) as turn:
            slow = in_thread(lambda: sleeper.drain(turn))
            out.wait_for(1)
            silence(sleeper.beats.name, 60)
            _take_over_before_it_beats_again(sleeper.beats)
            out.answer = None
            deliver()
            gate.set()
            slow.result(DEADLINE)
    assert states(there) == ["succeeded"]
    assert [came.id for came in out.came] == [out.came[0].id] * 2
    assert Attempt.objects.count() == 1


def _take_over_before_it_beats_again(beats: Beats) -> None:
    def taken() -> bool:
        silence(beats.name, 60)
        return take_over() == 1

    until(taken, "the lease is taken over")


def test_a_worker_unheard_since_it_leased_sends_nothing(workspace: Workspace) -> None:
    """As one that was stopped between the two, and goes on when others have taken over."""
    with sink() as out:
        there = to(workspace, out.url)
        backlog(there, 3)
        with engine() as running, contextlib.closing(Turn()) as turn:
            heard = iter([True])
            running.beats.is_heard = lambda: next(heard, False)  # type: ignore[method-assign]
            running.drain(turn)
        assert out.came == []
    assert states(there) == ["pending"] * 3
    assert not Delivery.objects.exclude(leases=0).exists()


def test_a_worker_heard_again_sends_nothing_that_it_leased_before_its_silence(
    workspace: Workspace,
) -> None:
    """As one that was stopped between the two, and whose beats go on before anything else."""
    with sink() as out:
        backlog(to(workspace, out.url), 3)
        with engine() as running, contextlib.closing(Turn()) as turn:
            lease_now, beats = running._ledger.lease, running.beats

            def lease_and_be_stopped(wanted: int) -> list[Leased] | None:
                rows = lease_now(wanted)
                beats._last -= 60
                beats._beat()
                assert beats.is_heard()
                turn.stop()
                return rows

            running._ledger.lease = lease_and_be_stopped  # type: ignore[method-assign]
            running.drain(turn)
        assert out.came == []
    assert set(Delivery.objects.values_list("state", "leases")) == {("pending", 0)}


def test_two_drains_and_two_sweeps_at_once_send_nothing_twice(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url, max_concurrency=20)
        backlog(there, 300)
        backlog(there, 30, task=workspace.pk)
        work: list[Callable[[], None]] = [deliver, deliver, _sweeps, _sweeps]
        for future in [in_thread(one) for one in work]:
            future.result(60)
        deliver()
    assert set(states(there)) == {"succeeded"}
    assert len(out.came) == len({came.id for came in out.came}) == 330
    assert out.most <= 20
    mine = [came.sequence for came in out.came if came.task == str(workspace.pk)]
    assert mine == sorted(mine)


def _sweeps() -> None:
    for _ in range(20):
        sweep()


def test_the_sweep_marks_beat_alive_and_forgets_the_dead(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "_last_seldom", [float("-inf")])
    silence("long dead", 7200)
    sweep()
    assert list(ProcessBeat.objects.values_list("name", "kind")) == [("beat", "beat")]


def test_the_sweep_gives_lost_turns(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "_last_seldom", [float("-inf")])
    there = to(workspace, NOWHERE)
    backlog(there, 3, task=workspace.pk, state="waiting")
    sweep()
    assert states(there) == ["pending", "waiting", "waiting"]


def test_nothing_is_due_where_nothing_waits_or_all_slots_are_taken(workspace: Workspace) -> None:
    assert not is_due()
    there = to(workspace, NOWHERE, max_concurrency=1)
    backlog(there, 2)
    assert is_due()
    beat("alive", "worker")
    lease(worker="alive", wanted=1)
    assert not is_due()


def test_a_job_of_the_sweep_that_fails_keeps_no_other_from_its_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rung: list[bool] = []

    def broken() -> int:
        raise ArithmeticError

    monkeypatch.setattr(sweep_module, "take_over", broken)
    monkeypatch.setattr(sweep_module, "ring_drain", lambda: rung.append(True))
    to(workspace, NOWHERE)
    fields = {"title": "t"}
    create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    sweep()
    assert rung == [True]
    assert "sweep_job_failed" in caplog.text
