"""The kill matrix, worker: killed with -9 at every point of the road where it could matter.

Each interleaving is forced: by a lock in PostgreSQL, by a receiver that holds its answer, by a
listener that never accepts, by a process that stops at a point. docs/guarantees.md lists the rows.
"""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_app.actions.destination import rotate_secret
from tasks_app.events.record import lock_heads
from tasks_app.models import (
    Attempt,
    Destination,
    Event,
    Replay,
    TaskSync,
    Workspace,
)
from tests.support.engine import SECRET, deliver, states, to
from tests.support.factories import cause
from tests.support.matrix import (
    create,
    has_left,
    is_taken_over,
    locked,
    verifies,
    waits_for_a_lock,
)
from tests.support.replays import replay
from tests.support.sink import Came, Sink, held, sink
from tests.support.threads import until
from tests.support.worker import Running, beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def frozen(point: str, folder: Path, *, out: Sink, there: Destination, doubled: int) -> list[Came]:
    """Kill a worker that has stopped at the point; return all that came in the end."""
    with beat(folder), worker(folder, name="one", freezes=point) as first:
        until((folder / point).exists, f"it is {point}")
        assert states(there) == ["leased"]
        first.kill()
        return is_taken_over(out, there, requests=1 + doubled, folder=folder)


def test_worker_killed_after_it_claimed_doubles_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        create(workspace)
        frozen("claimed", tmp_path, out=out, there=there, doubled=0)
    assert Attempt.objects.count() == 1


def test_worker_killed_while_it_connects_doubles_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The listener's queue is full: the kernel drops the worker's SYN."""
    with sink() as out, full_listener() as port, beat(tmp_path):
        there = to(workspace, f"http://127.0.0.1:{port}/", timeout=60)
        create(workspace)
        with worker(tmp_path, name="one") as first:
            until(lambda: is_connecting(first, port), "it connects")
            first.kill()
        Destination.objects.update(url=out.url)
        is_taken_over(out, there, requests=1, folder=tmp_path)
    assert Attempt.objects.count() == 1


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """Listen without ever accepting, the queue of connections filled up."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listening.getsockname()
        while True:
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(address)
            except TimeoutError:
                yield address[1]
                return


def is_connecting(running: Running, port: int) -> bool:
    """Tell whether a child of the worker has sent a SYN there that nobody has answered."""
    return any(_has_unanswered_syn(pid, port) for pid in running.children)


def _has_unanswered_syn(pid: int, port: int) -> bool:
    sockets = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "02"
    }
    with contextlib.suppress(OSError):
        files = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
        return any(f"socket:[{number}]" in files for number in sockets)
    return False


def test_worker_killed_after_the_bytes_were_sent_doubles_one(
    workspace: Workspace, tmp_path: Path
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out, beat(tmp_path):
        there = to(workspace, out.url)
        create(workspace)
        with worker(tmp_path, name="one") as first:
            out.wait_for(1)
            first.kill()
        gate.set()
        came = is_taken_over(out, there, requests=2, folder=tmp_path)
    assert [one.attempt for one in came] == [1, 1]
    assert Attempt.objects.count() == 1


def test_worker_killed_after_the_answer_doubles_one(workspace: Workspace, tmp_path: Path) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        create(workspace)
        frozen("answered", tmp_path, out=out, there=there, doubled=1)
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("written", [False, True], ids=["before-its-writes", "after-its-writes"])
def test_worker_killed_inside_settle_doubles_one(
    workspace: Workspace, tmp_path: Path, written: bool
) -> None:
    """It waits for the head of the log, or, with the delivery written, for the task's sync."""
    with sink() as out, beat(tmp_path):
        there = to(workspace, out.url)
        create(workspace)
        sync = TaskSync.objects.select_for_update()
        lock = (lambda: list(sync)) if written else (lambda: lock_heads([workspace.pk]))
        with locked(lock), worker(tmp_path, name="one") as first:
            until(lambda: waits_for_a_lock("worker"), "it settles")
            out.wait_for(1)
            first.kill()
        is_taken_over(out, there, requests=2, folder=tmp_path)
    assert Attempt.objects.count() == 1
    assert Event.objects.filter(type="task_synced").count() == 1


def test_worker_killed_during_a_rotation_sends_with_both_secrets(
    workspace: Workspace, tmp_path: Path
) -> None:
    """What the dead worker had claimed with the old secret goes out signed with both."""
    with sink() as out, beat(tmp_path):
        there = to(workspace, out.url)
        create(workspace)
        with worker(tmp_path, name="one", freezes="claimed") as first:
            until((tmp_path / "claimed").exists, "it has claimed")
            _, fresh = rotate_secret(
                workspace_id=workspace.pk, destination_id=there.pk, cause=cause()
            )
            first.kill()
        (came,) = is_taken_over(out, there, requests=1, folder=tmp_path)
    assert verifies(SECRET, came)
    assert verifies(fresh, came)


def test_worker_killed_during_a_replay_doubles_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Its step waits for the head of the log; another does the same step once more."""
    with sink() as out, beat(tmp_path):
        there = to(workspace, out.url)
        for _ in range(3):
            create(workspace)
        deliver()
        again = replay(there)
        with locked(lambda: lock_heads([workspace.pk])), worker(tmp_path, name="one") as first:
            until(lambda: waits_for_a_lock("worker"), "the replay takes a step")
            first.kill()
        until(lambda: has_left("worker"), "PostgreSQL has rolled it back")
        with worker(tmp_path, name="two"):
            until(lambda: Replay.objects.get(pk=again.pk).state == "done", "it has ended")
    assert sorted(Counter(came.id for came in out.came).values()) == [2, 2, 2]
    replayed = [came for came in out.came if "webhook-replay" in came.headers]
    assert sorted(came.data["seq"] for came in replayed) == [2, 3, 4]
    assert {came.headers["webhook-replay"] for came in replayed} == {str(again.pk)}
