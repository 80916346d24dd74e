"""Reads the records that lie in the house: the log, what arrived, what is still open."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import httpx

from tests.chaos.records import Arrived, Logged, Open
from tests.chaos.stage import Stage
from tests.support.threads import until

T = TypeVar("T")
OPEN = ("pending", "leased", "waiting")
PATIENCE = 60.0  # seconds; reads are repeated while the house recovers


def the_log(stage: Stage) -> Iterator[Logged]:
    """Give the whole log, oldest first."""
    for event in _rows(stage, "events/?limit=500"):
        task, delivery = event.get("task") or {}, event.get("delivery") or {}
        yield Logged(
            seq=event["seq"],
            id=event["id"],
            type=event["type"],
            request_id=event["request_id"],
            task=task.get("id", ""),
            version=task.get("version", 0),
            at=datetime.fromisoformat(event["at"]).timestamp(),
            path=stage.names.get(delivery.get("destination", ""), ""),
            of=delivery.get("event", 0),
        )


def what_arrived(stage: Stage) -> Iterator[Arrived]:
    """Give every request that the sandbox got, in the order in which they came."""
    for entry in stage.house.received():
        event = json.loads(entry["body"])["data"]
        yield Arrived(
            n=entry["n"],
            at=datetime.fromisoformat(entry["at"]).timestamp(),
            path=entry["path"],
            message=entry["webhook_id"],
            seq=event["seq"],
            event=event["id"],
            task=event["task"]["id"],
            version=event["task"]["version"],
            status=entry["status"],
            signature=entry["signature"],
        )


def what_is_open(stage: Stage) -> list[Open]:
    """Return every delivery that has not ended."""
    held = _held(stage)
    query = "&".join(f"state={state}" for state in OPEN)
    return [
        Open(
            id=row["id"],
            destination=stage.names.get(row["destination"], row["destination"]),
            state=row["state"],
            due=datetime.fromisoformat(row["next_attempt_at"]).timestamp(),
            attempts=row["attempts"],
            held=row["destination"] in held,
            message=row["message_id"],
        )
        for row in _rows(stage, f"deliveries/?limit=500&{query}")
    ]


def head(stage: Stage) -> int:
    """Return the number of the log's last event."""

    def read(api: httpx.Client) -> int:
        cursor = api.get("tasks/?limit=1").raise_for_status().headers["Stream-Cursor"]
        return int(cursor.rpartition(".")[2])

    return _patiently(stage, read)


def insist(stage: Stage, path: str) -> None:
    """POST until it is answered with success; it must do no harm to do it twice."""

    def post(api: httpx.Client) -> int:
        return api.post(path).raise_for_status().status_code

    _patiently(stage, post)


def _held(stage: Stage) -> set[str]:
    """Return the destinations that rightly get nothing at the moment."""
    now = time.time()
    held = set()
    for row in _rows(stage, "destinations/"):
        until_when = row.get("blocked_until")
        waits = until_when and datetime.fromisoformat(until_when).timestamp() > now
        if waits or row.get("circuit", "closed") != "closed" or row["state"] != "active":
            held.add(row["id"])
    return held


def _rows(stage: Stage, path: str) -> Iterator[dict[str, Any]]:
    """Give the rows of every page."""
    address: str | None = path
    while address:
        page = _page(stage, address)
        yield from page["results"]
        address = page["next"]


def _page(stage: Stage, address: str) -> dict[str, Any]:
    def read(api: httpx.Client) -> dict[str, Any]:
        found: dict[str, Any] = api.get(address).raise_for_status().json()
        return found

    return _patiently(stage, read)


def _patiently(stage: Stage, read: Callable[[httpx.Client], T]) -> T:
    found: list[T] = []

    def tried() -> bool:
        try:
            with stage.house.client() as api:
                found.append(read(api))
        except httpx.HTTPError:
            time.sleep(0.2)
            return False
        return True

    until(tried, "the house answers", PATIENCE)
    return found[0]
