"""What was committed reaches the receiver and every follower: once, signed, in order.

Real processes over real sockets, started as a user starts them. Eight clients create, change
and delete 500 tasks over HTTP while two WebSocket clients and one SSE client follow, one of
them being cut ten times at random. Then four records are compared: what the clients were told,
the log, what the receiver got, what the followers saw.
"""

import json
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.followers import EventSourceFollower, Follower, SocketFollower
from tests.support.house import House
from tests.support.threads import until

CLIENTS, TASKS, CUTS = 8, 500, 10
DELIVERED = {"task_created", "task_updated", "task_deleted"}


@dataclass
class Told:
    """What the API told the clients: the last version of each task, or its deletion."""

    versions: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    changes: int = 0


def work(house: House, worker: int) -> Told:
    """Create this client's share of the tasks; change all, delete every third."""
    told = Told()
    with house.client() as api:
        for turn in range(worker, TASKS, CLIENTS):
            answer = api.post("tasks/", json={"title": f"Task {turn}", "labels": ["road"]})
            assert answer.status_code == 201, answer.text
            task = answer.json()
            version = change(api, task, f"Task {turn}, changed")
            told.versions[task["id"]] = version
            told.changes += 2
            if turn % 3 == 0:
                gone = api.delete(f"tasks/{task['id']}/", headers={"If-Match": f'"{version}"'})
                assert gone.status_code == 204, gone.text
                told.deleted.add(task["id"])
                told.changes += 1
    return told


def change(api: httpx.Client, task: dict[str, Any], title: str) -> int:
    headers = {"If-Match": f'"{task["version"]}"'}
    answer = api.patch(f"tasks/{task['id']}/", json={"title": title}, headers=headers)
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["version"]
    assert answer.headers["ETag"] == f'"{version}"'
    return version


def cut_at_random(follower: SocketFollower, seed: int) -> None:
    """Cut the follower's connection CUTS times, each after some more events."""
    dice = random.Random(seed)
    for number in range(1, CUTS + 1):
        follower.wait_for_seq(len(follower.seen) + dice.randrange(1, 120))
        follower.cut()
        until(partial(follower.connected_more_than, number), "the follower is back")


def read_log(api: httpx.Client) -> list[dict[str, Any]]:
    """Return the whole log by the API."""
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["seq"] if events else 0
        page = api.get("events/", params={"after": after, "limit": 500}).json()["results"]
        if not page:
            return events
        events += page


def settled(house: House) -> bool:
    """Tell whether nothing waits, is due or is under way."""
    (row,) = house.query(
        "SELECT count(*) FROM delivery WHERE state IN ('waiting', 'pending', 'leased')"
    )
    return bool(row[0] == 0)


@pytest.fixture(scope="module")
def road(house: House) -> "Road":
    """Walk the road once; the tests look at what came of it."""
    with house.client() as api:
        for destination in api.get("destinations/").json()["results"]:
            if "/flaky/" in destination["url"]:
                assert api.delete(f"destinations/{destination['id']}/").status_code == 204
    seed = random.randrange(2**32)
    print(f"seed of the cuts: {seed}")
    steady, source = SocketFollower(house).start(), EventSourceFollower(house).start()
    restless = SocketFollower(house)
    restless.start()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        cutting = pool.submit(cut_at_random, restless, seed)
        told = list(pool.map(lambda worker: work(house, worker), range(CLIENTS)))
        cutting.result(120)
    until(lambda: settled(house), "everything is delivered")
    with house.client() as api:
        log = read_log(api)
        tasks = read_tasks(api)
    followers: dict[str, Follower] = {"steady": steady, "restless": restless, "source": source}
    for follower in followers.values():
        follower.wait_for_seq(log[-1]["seq"])
        follower.stop()
    received = [entry for entry in house.received() if entry["path"] == "/post"]
    return Road(house, told, log, tasks, received, followers)


@dataclass
class Road:
    """The records of one walk."""

    house: House
    told: list[Told]
    log: list[dict[str, Any]]
    tasks: dict[str, dict[str, Any]]
    received: list[dict[str, Any]]
    followers: dict[str, Follower]


def read_tasks(api: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return all tasks by following the pages."""
    tasks: dict[str, dict[str, Any]] = {}
    url: str | None = "tasks/?limit=100"
    while url:
        page = api.get(url).json()
        tasks |= {task["id"]: task for task in page["results"]}
        url = page["next"]
    return tasks


pytestmark = pytest.mark.timeout(300)


def test_the_log_is_dense_and_holds_every_change_that_was_told(road: Road) -> None:
    assert [event["seq"] for event in road.log] == list(range(1, len(road.log) + 1))
    changes = [event for event in road.log if event["type"] in DELIVERED]
    assert len(changes) == sum(told.changes for told in road.told)
    assert len(road.log) > 2 * len(changes)  # each change has its outcome


def test_every_change_was_received_once_with_a_valid_signature(road: Road) -> None:
    changes = {event["seq"] for event in road.log if event["type"] in DELIVERED}
    received = [entry_seq(entry) for entry in road.received]
    assert sorted(received) == sorted(changes)
    assert {entry["signature"] for entry in road.received} == {"valid"}
    assert len({entry["webhook_id"] for entry in road.received}) == len(received)


def test_every_task_s_changes_were_received_in_order(road: Road) -> None:
    by_task: dict[str, list[int]] = defaultdict(list)
    for entry in road.received:
        by_task[entry_event(entry)["task"]["id"]].append(entry_event(entry)["task"]["version"])
    assert len(by_task) == TASKS
    assert all(versions == sorted(versions) for versions in by_task.values())


@pytest.mark.parametrize("name", ["steady", "restless", "source"])
def test_every_follower_saw_the_whole_log_once_and_in_order(road: Road, name: str) -> None:
    assert road.followers[name].seqs == list(range(1, len(road.log) + 1))
    assert road.followers[name].seen == road.log


def test_the_restless_follower_really_came_back(road: Road) -> None:
    restless = road.followers["restless"]
    assert isinstance(restless, SocketFollower)
    assert restless.connections == CUTS + 1


def test_api_database_and_clients_agree(road: Road) -> None:
    told = {task: v for one in road.told for task, v in one.versions.items()}
    deleted = {task for one in road.told for task in one.deleted}
    kept = {task: version for task, version in told.items() if task not in deleted}
    assert {task["id"]: task["version"] for task in road.tasks.values()} == kept
    assert {task["sync"] for task in road.tasks.values()} == {"synced"}
    rows = road.house.query("SELECT id, version, title, number FROM task")
    assert {(str(r[0]), r[1], r[2], r[3]) for r in rows} == {
        (t["id"], t["version"], t["title"], t["number"]) for t in road.tasks.values()
    }


def entry_event(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the event that a received request carried."""
    event: dict[str, Any] = json.loads(entry["body"])["data"]
    return event


def entry_seq(entry: dict[str, Any]) -> int:
    """Return its number in the log."""
    return int(entry_event(entry)["seq"])
