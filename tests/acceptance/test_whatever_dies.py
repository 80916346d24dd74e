"""Each process is killed with -9 while clients write; nothing is lost, nothing is out of order.

A second request for a delivery may happen only where the outcome of the first was unknown: at
most one for each attempt that was in flight at a kill. Followers see every event exactly once.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.support.followers import EventSourceFollower, Follower, SocketFollower
from tests.support.house import House, running_house
from tests.support.threads import until

pytestmark = pytest.mark.timeout(300)
VICTIMS = ["stream", "valkey", "worker-1", "api", "beat", "postgres", "proxy", "worker-1"]


class Writer:
    """Creates and changes tasks until stopped; a write whose answer was lost is not counted."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.told: list[str] = []
        self.refused = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "Writer":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        with self.house.client() as api:
            while not self._stopped.is_set():
                try:
                    self._write(api)
                except httpx.HTTPError:
                    self.refused += 1

    def _write(self, api: httpx.Client) -> None:
        answer = api.post("tasks/", json={"title": "while things die"})
        if answer.status_code != 201:
            assert answer.status_code >= 500, answer.text
            self.refused += 1
            return
        task = answer.json()
        self.told.append(task["id"])
        api.patch(f"tasks/{task['id']}/", json={"status": "done"})


@pytest.fixture(scope="module")
def ruin() -> Iterator["Ruin"]:
    """Write while everything is killed in turn, then wait until all has come right again."""
    with running_house(WORKERS="1") as house:
        followers: list[Follower] = [SocketFollower(house), EventSourceFollower(house)]
        for follower in followers:
            follower.patient = True
            follower.start()
        writers = [Writer(house).start() for _ in range(3)]
        for victim in VICTIMS:
            before = sum(len(writer.told) for writer in writers)
            until(
                lambda n=before: sum(len(w.told) for w in writers) > n + 15,  # type: ignore[misc]
                f"clients write on before {victim} dies",
            )
            dead = house.kill(victim)
            until(lambda v=victim, d=dead: replaced(house, v, d), f"{victim} is back")  # type: ignore[misc]
        before = sum(len(writer.told) for writer in writers)
        until(lambda: sum(len(w.told) for w in writers) > before + 15, "clients write on")
        for writer in writers:
            writer.stop()
        until(lambda: under_way(house), "everything due has gone out or waits for its retry", 40)
        house.wait_until_ready()
        yield Ruin(house, writers, followers)


def replaced(house: House, name: str, dead: int) -> bool:
    """Tell whether the supervisor has started another."""
    try:
        return house.pid(name) != dead
    except (OSError, ValueError):
        return False


def under_way(house: House) -> bool:
    """Tell whether no delivery to `/post` is unfinished."""
    (row,) = house.query(
        "SELECT count(*) FROM delivery v JOIN destination d ON d.id = v.destination_id"
        " WHERE v.state IN ('waiting', 'pending', 'leased') AND right(d.url, 5) = '/post'"
    )
    return bool(row[0] == 0)


class Ruin:
    """The records."""

    def __init__(self, house: House, writers: list[Writer], followers: list[Follower]) -> None:
        self.house, self.writers, self.followers = house, writers, followers
        self.told = [task for writer in writers for task in writer.told]
        entries = [entry for entry in house.received() if entry["path"] == "/post"]
        self.received = [(e["webhook_id"], json.loads(e["body"])["data"]) for e in entries]


def test_whoever_was_told_201_has_its_task(ruin: Ruin) -> None:
    kept = {str(row[0]) for row in ruin.house.query("SELECT id FROM task")}
    assert set(ruin.told) <= kept


def test_every_committed_change_arrived_and_nothing_else(ruin: Ruin) -> None:
    rows = ruin.house.query(
        "SELECT seq FROM event WHERE type IN ('task_created', 'task_updated', 'task_deleted')"
    )
    received = {event["seq"] for _, event in ruin.received}
    assert received == {row[0] for row in rows}


def test_no_task_s_changes_arrived_out_of_order(ruin: Ruin) -> None:
    last: dict[str, int] = {}
    for _, event in ruin.received:
        task = event["task"]
        assert task["version"] >= last.get(task["id"], 0)
        last[task["id"]] = task["version"]


def test_doubles_are_few_and_carry_the_same_id(ruin: Ruin) -> None:
    times = Counter(message for message, _ in ruin.received)
    seqs = {(message, event["seq"]) for message, event in ruin.received}
    assert len(seqs) == len(times)
    doubled = sum(count - 1 for count in times.values())
    kills = sum(victim in {"worker-1", "postgres"} for victim in VICTIMS)
    assert doubled <= 10 * kills  # at most what the destination lets be in flight, at each kill


def test_the_log_has_no_hole(ruin: Ruin) -> None:
    rows = ruin.house.query("SELECT seq FROM event ORDER BY seq")
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("number", [0, 1], ids=["socket", "event-source"])
def test_followers_saw_every_event_exactly_once(ruin: Ruin, number: int) -> None:
    follower = ruin.followers[number]
    ((head,),) = ruin.house.query("SELECT max(seq) FROM event")
    follower.wait_for_seq(head)
    assert follower.seqs[:head] == list(range(1, head + 1))
