"""100,000 rows imported by a worker that is killed half-way, beside live changes.

A house of its own, as `make up` starts it, and one destination. How long the import takes, whether
each row has become one task, one event and one delivery, and what a live POST costs meanwhile, in
its workspace and with nothing else to do. BENCH_ROWS, BENCH_SECONDS (of live changes alone).
"""

import io
import json
import os
import sys
import threading
import time
from typing import Any

import httpx

from config.env import data_dir
from tests.support.house import House, running_house

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))
LIVE = 10.0  # changes a second
PATIENCE = 1200.0  # seconds
COUNTS = ("lost", "doubled", "events missing", "without a delivery")


class Live:
    """Creates tasks at a steady rate, and writes down how long each answer took."""

    def __init__(self, house: House) -> None:
        self.took: list[float] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(house,))
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """Stop; return the percentiles in milliseconds."""
        self._ends.set()
        self._thread.join(60)
        ordered = sorted(self.took)
        at = {share: ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99)}
        told = {f"p{share * 100:.0f}_ms": round(found * 1000, 1) for share, found in at.items()}
        return {"changes": len(ordered), **told, "max_ms": round(ordered[-1] * 1000, 1)}

    def _run(self, house: House) -> None:
        with house.client() as client:
            while not self._ends.wait(1 / LIVE):
                began = time.perf_counter()
                answer = client.post("tasks/", json={"title": "live"})
                assert answer.status_code == 201, answer.text
                self.took.append(time.perf_counter() - began)


def main() -> int:
    """Run, print, write JSON; return 1 where a row was lost or doubled."""
    with running_house() as house, house.client() as client:
        for one in client.get("destinations/").json()["results"]:
            client.delete(f"destinations/{one['id']}/")
        wanted = {"name": "all", "url": f"{house.sandbox}/post", "max_concurrency": 50}
        assert client.post("destinations/", json=wanted).status_code == 201
        live = Live(house)
        time.sleep(SECONDS)
        alone = live.stop()
        live = Live(house)
        told = _import(house, client)
        beside = live.stop()
        told |= _check(house)
    told |= {"live alone": alone, "live beside": beside}
    _print(told)
    return int(any(told[name] for name in COUNTS))


def _import(house: House, client: httpx.Client) -> dict[str, Any]:
    """Send the file, kill the worker half-way, wait for the end."""
    rows = "".join(f"row {n},normal\n" for n in range(ROWS))
    data = io.BytesIO(f"title,priority\n{rows}".encode())
    began = time.monotonic()
    answer = client.post("imports/", files={"file": ("tasks.csv", data, "text/csv")})
    assert answer.status_code == 202, answer.text
    taken, killed, job = time.monotonic() - began, 0.0, answer.json()
    while job["state"] == "running":
        time.sleep(0.5)
        assert time.monotonic() - began < PATIENCE, job
        job = client.get(f"imports/{job['id']}/").json()
        if job["done"] >= ROWS / 2 and not killed:
            house.kill("worker-1")
            killed = job["done"]
    assert (job["state"], job["created"], job["failed"]) == ("done", ROWS, 0), job
    seconds = time.monotonic() - began
    return {
        "rows": ROWS,
        "accepted after s": round(taken, 2),
        "killed at row": killed,
        "done after s": round(seconds, 1),
        "rows a second": round(ROWS / seconds),
        "progress events": _count(house, "event", "type = 'import_progress'"),
    }


def _check(house: House) -> dict[str, int]:
    """Count what is there against what was sent."""
    rows = "title LIKE 'row %%'"
    tasks = _count(house, "task", rows)
    different = _count(house, f"(SELECT DISTINCT title FROM task WHERE {rows}) t", "true")
    events = _count(
        house, "event", "type = 'task_created' AND data->'task'->>'title' LIKE 'row %%'"
    )
    queued = "(SELECT DISTINCT event_seq, destination_id FROM delivery) d"
    created = _count(house, "event", "type = 'task_created'")
    return {
        "lost": ROWS - different,
        "doubled": tasks - different,
        "events missing": ROWS - events,
        "without a delivery": created - _count(house, queued, "true"),
    }


def _count(house: House, table: str, condition: str) -> int:
    return int(house.query(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])


def _print(told: dict[str, Any]) -> None:
    print("\nimports: one file, a worker killed half-way, live changes beside it")
    for name, value in told.items():
        print(f"  {name:<20} {value}")
    path = data_dir() / "bench" / "imports.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), **told}, indent=2) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
