"""The kill matrix: real processes, killed with -9 at every point where it could matter.

Each interleaving is forced: by a lock in PostgreSQL, by a receiver that holds its answer, by a
listener that never accepts, by a process that stops at a point. docs/guarantees.md lists the rows.
"""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tasks_app.actions.destination import rotate_secret
from tasks_app.actions.task import create_task
from tasks_app.events.record import lock_heads
from tasks_app.models import (
    Attempt,
    Destination,
    Event,
    ProcessBeat,
    Task,
    TaskSync,
    Workspace,
)
from tests.support import factories
from tests.support.api_server import running_api
from tests.support.callers import api_key
from tests.support.engine import SECRET, states, to
from tests.support.factories import cause
from tests.support.sink import Came, Sink, held, sink
from tests.support.threads import DEADLINE, in_thread, until
from tests.support.worker import Running, beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
UNDER_WAY = 15.0  # seconds after a kill within which its work is under way again (contract §7)
NOBODY_THERE = "http://127.0.0.1:9/"


def create(workspace: Workspace) -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())


@contextlib.contextmanager
def locked(lock: Callable[[], object]) -> Iterator[None]:
    """Hold a lock in a transaction of another connection for as long as the block runs."""
    held_now, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock()
            held_now.set()
            assert let_go.wait(DEADLINE * 3)

    holding = in_thread(hold)
    assert held_now.wait(DEADLINE)
    try:
        yield
    finally:
        let_go.set()
        holding.result(DEADLINE)


def waits_for_a_lock(role: str) -> bool:
    """Tell whether a process of this role waits for another's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
            " AND datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
            [role],
        )
        return cursor.fetchone() is not None


def has_left(role: str) -> bool:
    """Tell whether PostgreSQL has noticed that all processes of this role are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
            " AND datname = current_database()",
            [role],
        )
        return cursor.fetchone() is None


def is_taken_over(out: Sink, there: Destination, *, requests: int, folder: Path) -> list[Came]:
    """Let another worker do what is left; return all that came. It has 15 s once it lives."""
    with worker(folder, name="two") as second:
        until(lambda: beats(second), "the other worker lives")
        until(lambda: len(out.came) >= requests, "it is sent again", UNDER_WAY)
        until(lambda: set(states(there)) == {"succeeded"}, "it is settled", UNDER_WAY)
    assert len(out.came) == requests
    assert len({came.id for came in out.came}) == 1
    return out.came


def beats(running: Running) -> bool:
    """Tell whether both children of a worker show signs of life."""
    pids = [name.split("-")[-2] for name in ProcessBeat.objects.values_list("name", flat=True)]
    return len(running.children) > 1 and {str(pid) for pid in running.children} <= set(pids)


def asked(port: int, path: str, key: str, body: object = None) -> "Future[int]":
    """POST in a thread; its result is the status, 0 where the connection broke."""

    def ask() -> int:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            client.request("POST", path, json.dumps(body or {}), headers)
            return client.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            client.close()

    return in_thread(ask)


def owners_key(workspace: Workspace) -> str:
    return api_key(workspace.memberships.get(role="owner"))[0]


def test_api_killed_before_its_commit_has_written_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    with sink() as out, running_api() as api:
        there = to(workspace, out.url)
        with locked(lambda: lock_heads([workspace.pk])):
            answer = asked(api.port, "/api/v1/tasks/", owners_key(workspace), {"title": "t"})
            until(lambda: waits_for_a_lock("api"), "the request waits inside its transaction")
            api.kill()
            assert answer.result(DEADLINE) == 0
        until(lambda: has_left("api"), "PostgreSQL has rolled it back")
        assert not Task.objects.exists()
        assert [event.type for event in factories.log(workspace)] == ["destination_created"]
        last = create(workspace)
        with beat(tmp_path):
            (came,) = is_taken_over(out, there, requests=1, folder=tmp_path)
    assert came.task == str(last.pk)
    assert [event.seq for event in factories.log(workspace)] == [1, 2, 3]


def test_api_killed_after_its_commit_and_before_the_bell_loses_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Its Valkey never answers: whoever hears its first word after the commit kills it."""
    with sink() as out, socket.create_server(("127.0.0.1", 0)) as silent:
        there = to(workspace, out.url)
        silent.settimeout(DEADLINE)
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with running_api(REDIS_URL=address) as api:
            answer = asked(api.port, "/api/v1/tasks/", owners_key(workspace), {"title": "t"})
            open_: list[socket.socket] = []
            while not Task.objects.exists():
                open_.append(silent.accept()[0])
            api.kill()
            assert answer.result(DEADLINE) == 0
            for one in open_:
                one.close()
        with beat(tmp_path):
            (came,) = is_taken_over(out, there, requests=1, folder=tmp_path)
    assert came.task == str(Task.objects.get().pk)
    assert came.attempt == 1


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


def test_api_killed_during_a_rotation_leaves_the_old_secret_in_force(
    workspace: Workspace, tmp_path: Path
) -> None:
    with sink() as out, running_api() as api:
        there = to(workspace, out.url)
        with locked(lambda: lock_heads([workspace.pk])):
            path = f"/api/v1/destinations/{there.pk}/rotate-secret/"
            answer = asked(api.port, path, owners_key(workspace))
            until(lambda: waits_for_a_lock("api"), "the rotation waits inside its transaction")
            api.kill()
            assert answer.result(DEADLINE) == 0
        until(lambda: has_left("api"), "PostgreSQL has rolled it back")
        create(workspace)
        with beat(tmp_path):
            (came,) = is_taken_over(out, there, requests=1, folder=tmp_path)
    assert verifies(SECRET, came)
    assert len(came.headers["webhook-signature"].split()) == 1


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


def verifies(secret: str, came: Came) -> bool:
    try:
        Webhook(secret).verify(came.body, came.headers)
    except WebhookVerificationError:
        return False
    return True
