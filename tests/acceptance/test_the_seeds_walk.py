"""The seeds' own walk with our addresses: 201 at once, the outcome on the socket soon after."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.support.followers import BEARER, SocketFollower
from tests.support.house import DEMO_KEY, House

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def follower(house: House) -> Iterator[SocketFollower]:
    with house.client() as api:
        cursor = api.get("tasks/").headers["Stream-Cursor"]
    following = SocketFollower(house, after=cursor)
    following.start()
    yield following
    following.stop()


def curl(house: House, title: str) -> dict[str, object]:
    """Create a task with the seed's very line."""
    program = shutil.which("curl")
    if program is None:
        with house.client() as api:
            answer = api.post("tasks/", json={"title": title})
            assert answer.status_code == 201
            created: dict[str, object] = answer.json()
            return created
    line = [
        *(program, "-sS", "--fail-with-body", "-X", "POST", f"{house.url}/api/v1/tasks/"),
        *("-H", "Content-Type: application/json"),
        *("-H", f"Authorization: Bearer {DEMO_KEY}"),
        *("-d", json.dumps({"title": title})),
    ]
    printed = subprocess.run(line, capture_output=True, check=True, timeout=30)
    return dict(json.loads(printed.stdout))


def test_a_task_made_with_curl_is_synced_on_the_socket(
    house: House, follower: SocketFollower
) -> None:
    task = curl(house, "Task with background sync")
    assert (task["title"], task["status"], task["sync"]) == (
        *("Task with background sync", "open"),
        "scheduled",
    )
    synced = follower.wait_for(
        lambda e: e["type"] == "task_synced" and e["task"]["id"] == task["id"]
    )
    assert synced["task"]["title"] == "Task with background sync"
    assert synced["delivery"]["status_code"] == 200


def test_a_receiver_that_fails_is_told_as_retrying(house: House, follower: SocketFollower) -> None:
    with house.client() as api:
        failing = {"name": "fails", "url": f"{house.sandbox}/status/503"}
        made = api.post("destinations/", json=failing)
        assert made.status_code == 201, made.text
        task = curl(house, "Task whose receiver fails")
        retrying = follower.wait_for(
            lambda e: (
                e["type"] == "task_sync_retrying"
                and e["task"]["id"] == task["id"]
                and e["delivery"]["destination"] == made.json()["id"]
            )
        )
        assert retrying["delivery"]["status_code"] == 503
        assert retrying["delivery"]["next_attempt_at"] is not None
        assert api.get(f"tasks/{task['id']}/").json()["sync"] == "retrying"
        assert api.delete(f"destinations/{made.json()['id']}/").status_code == 204


def test_the_socket_echoes_what_is_typed(house: House) -> None:
    with connect(f"{house.socket_url}/ws/tasks", additional_headers=BEARER) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "welcome"
        socket.send("hello")
        assert json.loads(socket.recv(timeout=10)) == {"type": "echo", "message": "hello"}


def test_a_slow_receiver_does_not_make_the_client_wait(
    house: House,
) -> None:
    """The slow API of the seeds takes 3 s; the 201 comes before it has even answered."""
    with house.client() as api:
        slow = {"name": "slow", "url": f"{house.sandbox}/slow?ts=1"}
        made = api.post("destinations/", json=slow).json()
        task = api.post("tasks/", json={"title": "Slow outside"}).json()
        listed = api.get("deliveries/", params={"destination": made["id"]}).json()["results"]
        assert [d["state"] in {"pending", "leased"} for d in listed] == [True]
        assert task["sync"] == "scheduled"
        assert api.delete(f"destinations/{made['id']}/").status_code == 204
