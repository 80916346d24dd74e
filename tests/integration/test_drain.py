"""One drain a worker: a second bell leaves word, returns once it is read, and all is seen to."""

import contextlib
import gc
import select
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.signals import task_received
from django.db.models.functions import Now
from redis import Redis

from tasks_app.actions.task import create_task
from tasks_app.delivery import drain as drain_module
from tasks_app.delivery import lifecycle, pump
from tasks_app.delivery.drain import drain
from tasks_app.delivery.stand_in import StandIn
from tasks_app.delivery.worker import Turn
from tasks_app.events import wire
from tasks_app.events.valkey import bell_client
from tasks_app.models import Delivery, Workspace
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.receiver import Exchange
from tests.support.sink import Came, held, ok, sink
from tests.support.threads import DEADLINE, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def turn() -> Iterator[Turn]:
    """Return a worker's turn; afterwards this process's engine and beats have ended."""
    one = Turn()
    yield one
    lifecycle.end()
    one.close()


def make(workspace: Workspace, title: str) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def test_a_second_bell_returns_at_once_and_the_first_drain_hears_of_it(
    workspace: Workspace, turn: Turn
) -> None:
    gate = threading.Event()

    async def only_first_waits(came: Came, exchange: Exchange) -> None:
        waits = came.data["task"]["title"] == "first"
        await (held(gate) if waits else ok)(came, exchange)

    with sink(only_first_waits) as out:
        there = to(workspace, out.url)
        make(workspace, "first")
        first = in_thread(lambda: drain(turn))
        out.wait_for(1)
        make(workspace, "second")
        drain(turn)
        assert not first.done()
        out.wait_for(2)
        gate.set()
        first.result(DEADLINE)
    assert states(there) == ["succeeded", "succeeded"]


def test_a_word_left_while_a_drain_ends_begins_the_next(
    workspace: Workspace, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest moment: the drain has looked for the last time and still has the turn."""
    monkeypatch.setattr(drain_module, "LOOKS", ())
    leave = turn.leave
    left: list[int] = []

    def leave_late() -> None:
        if not left:
            left.append(1)
            make(workspace, "late")
            drain_beside = in_thread(lambda: drain(turn))
            drain_beside.result(DEADLINE)
        leave()

    turn.leave = leave_late  # type: ignore[method-assign]
    with sink() as out:
        there = to(workspace, out.url)
        drain(turn)
    assert states(there) == ["succeeded"]


def test_a_drain_told_to_stop_leases_nothing(workspace: Workspace, turn: Turn) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        make(workspace, "t")
        turn.stop()
        drain(turn)
        assert out.came == []
    assert states(there) == ["pending"]


def test_a_drain_stops_leasing_when_told_to_and_settles_what_it_sent(
    workspace: Workspace, turn: Turn
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        make(workspace, "1")
        make(workspace, "2")
        first = in_thread(lambda: drain(turn))
        out.wait_for(1)
        turn.stop()
        gate.set()
        first.result(DEADLINE)
    assert states(there) == ["succeeded", "pending"]


def test_the_wake_is_forgotten_before_the_first_lease(workspace: Workspace, turn: Turn) -> None:
    """Or a commit between lease and forgetting would ring no bell."""
    client: Redis = bell_client()
    seen: list[bool] = []

    async def look(came: Came, exchange: Exchange) -> None:
        seen.append(bool(client.exists(wire.DRAIN_WAKE_KEY)))
        await ok(came, exchange)

    with sink(look) as out:
        to(workspace, out.url)
        make(workspace, "t")
        client.set(wire.DRAIN_WAKE_KEY, 1)
        drain(turn)
        until(lambda: bool(out.came), "it came")
    assert seen == [False]


def test_word_wakes_a_drain_that_waits_for_an_answer(
    workspace: Workspace, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by looking round: neither now and then, nor at every pulse."""
    gate = threading.Event()

    async def only_first_waits(came: Came, exchange: Exchange) -> None:
        waits = came.data["task"]["title"] == "first"
        await (held(gate) if waits else ok)(came, exchange)

    for name in ("LOOK_EVERY", "PULSE"):
        monkeypatch.setattr(pump, name, 10**6)
    with sink(only_first_waits) as out:
        to(workspace, out.url)
        make(workspace, "first")
        draining = in_thread(lambda: drain(turn))
        out.wait_for(1)
        make(workspace, "second")
        drain(turn)
        out.wait_for(2)
        gate.set()
        draining.result(DEADLINE)


@pytest.mark.usefixtures("turn")  # it ends the beats that begin here
def test_a_child_freezes_what_it_has_inherited() -> None:
    """A full collection of garbage that walks all that is loaded holds its sending up."""
    gc.unfreeze()
    lifecycle.begin()
    try:
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_a_bell_is_heard_while_every_child_is_busy(
    workspace: Workspace, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent alone has received the message; no child has begun the drain it asks for."""
    gate = threading.Event()

    async def only_first_waits(came: Came, exchange: Exchange) -> None:
        waits = came.data["task"]["title"] == "first"
        await (held(gate) if waits else ok)(came, exchange)

    monkeypatch.setattr(lifecycle, "turn", turn)
    monkeypatch.setattr(pump, "LOOK_EVERY", 10**9)
    client: Redis = bell_client()
    with sink(only_first_waits) as out:
        there = to(workspace, out.url)
        make(workspace, "first")
        draining = in_thread(lambda: drain(turn))
        out.wait_for(1)
        until(lambda: not turn.has_word(), "the drain has read its own word")
        make(workspace, "second")
        assert client.exists(wire.DRAIN_WAKE_KEY)
        task_received.send(sender=None, request=SimpleNamespace(name=wire.SWEEP_TASK))
        assert not turn.has_word()
        task_received.send(sender=None, request=SimpleNamespace(name=wire.DRAIN_TASK))
        out.wait_for(2)
        assert not client.exists(wire.DRAIN_WAKE_KEY)  # the next commit rings again
        gate.set()
        draining.result(DEADLINE)
    assert states(there) == ["succeeded", "succeeded"]


@contextlib.contextmanager
def taken_by_another_process(turn: Turn) -> Iterator[None]:
    """Let a process have the turn that does nothing more."""
    program = "import fcntl, sys; fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); print(flush=True);"
    with subprocess.Popen(
        [sys.executable, "-c", f"{program} sys.stdin.read()", str(turn._file)],
        pass_fds=[turn._file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield


def test_who_has_the_turn_and_reads_no_word_is_stood_in_for(
    workspace: Workspace, turn: Turn
) -> None:
    with sink() as out, taken_by_another_process(turn):
        there = to(workspace, out.url)
        make(workspace, "t")
        drain(turn)
    assert states(there) == ["succeeded"]


def test_who_has_the_turn_and_reads_its_word_is_left_to_it(
    workspace: Workspace, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "LOOKS", (0.01,) * 10**6)
    with sink() as out, taken_by_another_process(turn):
        there = to(workspace, out.url)
        make(workspace, "t")
        ringing = in_thread(lambda: drain(turn))
        assert select.select([turn.wakes()], [], [], DEADLINE)[0]
        assert turn.read_word()
        ringing.result(DEADLINE)
    assert states(there) == ["pending"]


def test_a_stand_in_ends_after_a_while_and_with_the_worker(turn: Turn) -> None:
    assert not StandIn(turn).is_over()
    assert StandIn(turn, seconds=0).is_over()
    turn.leave_word()
    assert not StandIn(turn, seconds=0).read_word()
    assert StandIn(turn).read_word()
    turn.stop()
    assert StandIn(turn).is_over()


def test_a_stand_in_sweeps_while_it_sends(workspace: Workspace, turn: Turn) -> None:
    """What the other held is given back, however long a destination keeps the stand-in."""
    gate = threading.Event()
    with sink(held(gate)) as slow, sink() as out, taken_by_another_process(turn):
        there = to(workspace, out.url)
        make(workspace, "lost")
        Delivery.objects.update(
            state="leased", leased_by="dead", claim_id=uuid.uuid4(), lease_expires_at=Now()
        )
        to(workspace, slow.url)
        make(workspace, "slow")
        draining = in_thread(lambda: drain(turn))
        slow.wait_for(1)
        until(lambda: states(there) == ["succeeded"] * 2, "it was given back and sent")
        assert not draining.done()
        gate.set()
        draining.result(DEADLINE)
