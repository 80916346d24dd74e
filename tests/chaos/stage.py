"""The house under test: `make up` with two of everything, over servers and wires of our own.

PostgreSQL and Valkey are the suite's, so that they can be killed for as long as a fault wants; the
house reaches both through wires, clients reach the house through one, and the house reaches the
sandbox through one.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from config.embedded.trouble import CannotStart
from tests.chaos.wires import Wire, Wires
from tests.support.house import CHECKOUT, House, running_house
from tests.support.servers import OwnServer, own_postgres, own_valkey
from tests.support.threads import until

TWO_OF_EVERYTHING = {"APIS": "2", "STREAMS": "2", "WORKERS": "2", "BEATS": "2"}
TIMEOUT = 15  # seconds that a destination may take
DESTINATIONS: dict[str, dict[str, Any]] = {
    "/post": {"max_concurrency": 20},
    "/flaky/10": {"max_concurrency": 20},
    "/delay/0.1": {"max_concurrency": 30},
    "/delay/0.2": {"max_concurrency": 6, "mode": "latest"},
}
SOON = [1, 1, 1, 2, 2, 3, 3, 5, 5, 5, 5, 5]  # seconds between attempts: a run is short


@dataclass(kw_only=True)
class Stage:
    """All that a fault can lay hands on."""

    house: House
    front: House  # the same house through the clients' wire
    postgres: OwnServer
    valkey: OwnServer
    wires: Wires
    to_postgres: Wire
    to_valkey: Wire
    to_house: Wire
    to_sandbox: Wire
    folder: Path
    keeper: ThreadPoolExecutor
    names: dict[str, str] = field(default_factory=dict)  # of destinations, by id

    def start(self, server: OwnServer) -> None:
        """Start a server that was killed, from the one thread that outlives every fault.

        A child's death signal hangs on the thread that made it.
        """
        self.keeper.submit(until, lambda: _started(server), "the server starts again").result()

    def pids(self, name: str) -> list[int]:
        """Return the processes behind a name: the one with its pid file, and its children."""
        try:
            main = self.house.pid(name)
            children = Path(f"/proc/{main}/task/{main}/children").read_text()
        except (OSError, ValueError):
            return []
        return [main, *(int(pid) for pid in children.split())]

    def signal(self, pids: list[int], number: signal.Signals) -> None:
        """Send a signal to processes, those that have gone meanwhile left out."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@contextlib.contextmanager
def running_stage(folder: Path) -> Iterator[Stage]:
    """Run everything; ends it in the opposite order, whatever has been killed meanwhile."""
    with contextlib.ExitStack() as stack:
        postgres, valkey = (stack.enter_context(one()) for one in (own_postgres, own_valkey))
        keeper = stack.enter_context(ThreadPoolExecutor(1))
        wires = Wires()
        stack.callback(wires.close)
        to_postgres, to_valkey = (wires.lead_to(one.port) for one in (postgres, valkey))
        urls = {
            "DATABASE_URL": postgres.url.replace(f":{postgres.port}/", f":{to_postgres.port}/"),
            "REDIS_URL": valkey.url.replace(f":{valkey.port}/", f":{to_valkey.port}/"),
        }
        house = stack.enter_context(running_house(**TWO_OF_EVERYTHING, **urls))
        stack.callback(_keep_log, house, folder / "house.log")
        to_house, to_sandbox = wires.lead_to(house.port), wires.lead_to(house.sandbox_port)
        stage = Stage(
            house=house,
            front=replace(house, port=to_house.port),
            postgres=postgres,
            valkey=valkey,
            wires=wires,
            to_postgres=to_postgres,
            to_valkey=to_valkey,
            to_house=to_house,
            to_sandbox=to_sandbox,
            folder=folder,
            keeper=keeper,
        )
        _furnish(stage)
        yield stage


def _started(server: OwnServer) -> bool:
    """Start it; PostgreSQL refuses while a backend of the killed one is still there."""
    try:
        server.server.start()
    except CannotStart:
        return False
    return True


def _furnish(stage: Stage) -> None:
    """Replace the demo's destinations by ours; let the sandbox know their secrets."""
    with stage.house.client() as api:
        for row in api.get("destinations/").json()["results"]:
            api.delete(f"destinations/{row['id']}/").raise_for_status()
        known = [_destination(stage, api, path, fields) for path, fields in DESTINATIONS.items()]
    httpx.put(f"{stage.house.sandbox}/secrets", json=known, timeout=10).raise_for_status()


def _destination(stage: Stage, api: httpx.Client, path: str, fields: dict[str, Any]) -> str:
    url = f"http://127.0.0.1:{stage.to_sandbox.port}{path}"
    rest = {"timeout": TIMEOUT, "retry_schedule": SOON}
    answer = api.post("destinations/", json={"name": path, "url": url, **rest, **fields})
    answer.raise_for_status()
    made = answer.json()
    stage.names[made["id"]] = path
    return str(made["secret"])


def _keep_log(house: House, path: Path) -> None:
    path.write_bytes(house.log.read_bytes())


def skewed_worker(stage: Stage, *, seconds: float) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of one more worker whose wall clock is wrong."""
    from_house = dict(_environment_of(stage.house.pid("worker-1")))
    command = _command_of(stage.house.pid("worker-1"))
    skew = str(CHECKOUT / "tests" / "chaos" / "skew")
    named = [part.replace("worker-1@", "skewed@") for part in command]
    return named, {**from_house, "PYTHONPATH": skew, "CHAOS_CLOCK_SKEW": str(seconds)}


def _environment_of(pid: int) -> Iterator[tuple[str, str]]:
    for line in Path(f"/proc/{pid}/environ").read_text().split("\0"):
        name, found, value = line.partition("=")
        if found:
            yield name, value


def _command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")


Started = Callable[[], None]
