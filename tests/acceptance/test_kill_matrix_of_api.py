"""The kill matrix, api: killed with -9 at every point of a request where it could matter.

Each interleaving is forced by a lock in PostgreSQL or by a Valkey that never answers.
docs/guarantees.md lists the rows.
"""

import socket
from pathlib import Path

import httpx
import pytest

from tasks_app.events.record import lock_heads
from tasks_app.models import Task, Workspace
from tests.support import factories
from tests.support.api_server import running_api
from tests.support.engine import SECRET, to
from tests.support.matrix import (
    asked,
    create,
    has_left,
    is_taken_over,
    locked,
    owners_key,
    verifies,
    waits_for_a_lock,
)
from tests.support.sink import sink
from tests.support.threads import DEADLINE, until
from tests.support.worker import beat

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


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
        with running_api(REDIS_URL=address, RATE_LIMIT_PER_MINUTE="0") as api:
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


def test_api_killed_after_its_commit_answers_a_repeat_of_its_key_as_it_would_have(
    workspace: Workspace,
) -> None:
    """Its Valkey takes the word that follows the commit and says nothing; there it is killed."""
    key = owners_key(workspace)
    once = {"Idempotency-Key": "k-1"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE)
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with running_api(REDIS_URL=address, RATE_LIMIT_PER_MINUTE="0") as api:
            answer = asked(api.port, "/api/v1/tasks/", key, {"title": "t"}, once)
            open_: list[socket.socket] = []
            while not Task.objects.exists():
                open_.append(silent.accept()[0])
            api.kill()
            assert answer.result(DEADLINE) == 0
            for one in open_:
                one.close()
    task = Task.objects.get()
    with running_api() as api, httpx.Client(base_url=f"http://127.0.0.1:{api.port}") as client:
        client.headers.update({"Authorization": f"Bearer {key}", **once})
        repeats = [client.post("/api/v1/tasks/", json={"title": "t"}) for _ in range(2)]
        shown = client.get(f"/api/v1/tasks/{task.pk}/")
    for repeat in repeats:
        assert (repeat.status_code, repeat.headers["Idempotent-Replayed"]) == (201, "true")
        assert (repeat.content, repeat.headers["ETag"]) == (shown.content, shown.headers["ETag"])
        assert repeat.headers["Location"].endswith(f"/api/v1/tasks/{task.pk}/")
    assert Task.objects.count() == len(factories.log(workspace)) == 1
