"""The faults: each begins, lasts and ends in a thread of its own, and is written down with times.

What two faults cannot do to one server at once, they do one after the other; one that would begin
after the end of the run is left out.
"""

import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import redis

from tests.chaos import collect
from tests.chaos.deck import Card
from tests.chaos.records import Fault
from tests.chaos.stage import Stage, skewed_worker
from tests.chaos.wires import Wire
from tests.support.servers import OwnServer

Deed = Callable[[Stage, Card], str]  # returns what else there is to say of it


class Storm:
    """Carries out what the deck says."""

    def __init__(self, stage: Stage, cards: list[Card], *, seconds: float) -> None:
        self.faults: list[Fault] = []
        self.errors: list[str] = []
        self._stage, self._cards, self._seconds = stage, cards, seconds
        self._busy: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def run(self) -> None:
        """Play every card at its time; return once all are over."""
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._play, args=(card, began), daemon=True)
            for card in self._cards
        ]
        for card, thread in zip(self._cards, threads, strict=True):
            time.sleep(max(0.0, began + card.at - time.monotonic()))
            thread.start()
        for thread in threads:
            thread.join()

    def _play(self, card: Card, began: float) -> None:
        with self._busy[card.target]:
            if time.monotonic() - began + card.lasts > self._seconds:
                return
            started = time.time()
            try:
                said = DEEDS[card.kind](self._stage, card)
            except Exception as error:  # noqa: BLE001 - the run must end, and say so
                self.errors.append(f"{card.kind} {card.target}: {error!r}")
                return
            ended = time.time()
        self.faults.append(
            Fault(kind=card.kind, target=card.target, began=started, ended=ended, detail=said)
        )


def _kill(stage: Stage, card: Card) -> str:
    """Kill the process, or all of its kind: the supervisor starts another."""
    pids = stage.pids(card.target)
    stage.signal(pids[:1], signal.SIGKILL)
    return f"process {pids[:1]}"


def _kill_worker(stage: Stage, card: Card) -> str:
    """Kill the parent, one child or all of them."""
    pids = stage.pids(card.target)
    chosen = [pids[:1], pids[1:2], pids[2:3], pids][int(card.dice * 4)]
    stage.signal(chosen, signal.SIGKILL)
    return f"{len(chosen)} of {len(pids)} processes: {chosen}"


def _stop(stage: Stage, card: Card) -> str:
    """Let a worker sleep, parent and children or one of them alone, and go on later."""
    pids = stage.pids(card.target)
    chosen = [pids, pids, pids[:1], pids[1:2], pids[2:3]][int(card.dice * 5)]
    stage.signal(chosen, signal.SIGSTOP)
    time.sleep(card.lasts)
    stage.signal(chosen, signal.SIGCONT)
    return f"{len(chosen)} of {len(pids)} processes for {card.lasts:.1f} s"


def _down(stage: Stage, card: Card, server: OwnServer, wire: Wire) -> str:
    """Kill a server, and let connections to it be refused until it is there again."""
    server.server.kill()
    stage.wires.do(wire.shut)
    time.sleep(card.lasts)
    stage.start(server)
    stage.wires.do(wire.open)
    return f"{card.lasts:.1f} s"


def _valkey_down(stage: Stage, card: Card) -> str:
    return _down(stage, card, stage.valkey, stage.to_valkey)


def _postgres_down(stage: Stage, card: Card) -> str:
    return _down(stage, card, stage.postgres, stage.to_postgres)


def _flush(stage: Stage, _card: Card) -> str:
    with redis.Redis.from_url(stage.valkey.url) as client:
        keys = client.dbsize()
        client.flushall()
    return f"{keys} keys"


def _silence(stage: Stage, card: Card) -> str:
    stage.wires.do(stage.to_valkey.silence)
    time.sleep(card.lasts)
    stage.wires.do(stage.to_valkey.speak)
    return f"{card.lasts:.1f} s"


def _cut(wire: Callable[[Stage], Wire]) -> Deed:
    def cut(stage: Stage, _card: Card) -> str:
        return f"{stage.wires.do(wire(stage).cut)} connections"

    return cut


def _pause(stage: Stage, card: Card) -> str:
    """Pause a destination over the API and resume it, whatever else dies meanwhile."""
    chosen, name = sorted(stage.names.items())[int(card.dice * len(stage.names))]
    collect.insist(stage, f"destinations/{chosen}/pause/")
    time.sleep(card.lasts)
    collect.insist(stage, f"destinations/{chosen}/resume/")
    return f"{name} for {card.lasts:.1f} s"


def _skewed(stage: Stage, card: Card) -> str:
    """Start one more worker whose wall clock is wrong, and kill it later."""
    seconds = (-3600.0, -240.0, 240.0, 3600.0)[int(card.dice * 4)]
    command, environment = skewed_worker(stage, seconds=seconds)
    with (stage.folder / "skewed.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=f"/proc/{stage.house.pid('worker-1')}/cwd",
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        time.sleep(card.lasts)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"{seconds:+.0f} s for {card.lasts:.1f} s"


DEEDS: dict[str, Deed] = {
    "kill api": _kill,
    "kill stream": _kill,
    "kill worker": _kill_worker,
    "kill beat": _kill,
    "kill proxy": _kill,
    "kill valkey": _valkey_down,
    "broker down": _valkey_down,
    "kill postgres": _postgres_down,
    "stop worker": _stop,
    "sleep past lease": _stop,
    "flushall": _flush,
    "silent broker": _silence,
    "cut broker": _cut(lambda stage: stage.to_valkey),
    "cut database": _cut(lambda stage: stage.to_postgres),
    "cut followers": _cut(lambda stage: stage.to_house),
    "cut destination": _cut(lambda stage: stage.to_sandbox),
    "pause destination": _pause,
    "skewed worker": _skewed,
}
