"""A receiver that remembers what came and answers as told, in a thread of its own."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.receiver import Exchange, Request, receiver

DEADLINE = 20.0  # seconds
Answer = Callable[["Came", Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Came:
    """One request, as a destination sees it."""

    id: str
    attempt: int
    sequence: int
    headers: dict[str, str]
    data: dict[str, Any]  # the event
    body: bytes  # as it was signed

    @property
    def task(self) -> str:
        """The task it tells of, or nothing."""
        return str(self.data.get("task", {}).get("id", ""))


@dataclass(slots=True, eq=False)
class Sink:
    """What came, in order of arrival, and how many were being answered at most."""

    url: str = ""
    came: list[Came] = field(default_factory=list)
    now: int = 0
    most: int = 0
    answer: Answer | None = None

    async def serve(self, exchange: Exchange) -> None:
        """Remember, then answer."""
        came = _read(exchange.request)
        self.came.append(came)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await (self.answer or ok)(came, exchange)
        finally:
            self.now -= 1

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come."""
        ends = time.monotonic() + DEADLINE
        while len(self.came) < count:
            assert time.monotonic() < ends, f"only {len(self.came)} of {count} came"
            time.sleep(0.005)


async def ok(_came: Came, exchange: Exchange) -> None:
    """Answer 200."""
    await exchange.answer()


def status(code: int, **headers: str) -> Answer:
    """Return an answer with a status."""

    async def say(_came: Came, exchange: Exchange) -> None:
        await exchange.answer(code, b"", **headers)

    return say


def held(gate: threading.Event, then: Answer = ok) -> Answer:
    """Return an answer that waits for the gate."""

    async def say(came: Came, exchange: Exchange) -> None:
        while not gate.is_set():
            await asyncio.sleep(0.005)
        await then(came, exchange)

    return say


@contextlib.contextmanager
def sink(answer: Answer | None = None) -> Iterator[Sink]:
    """Listen on a free port of loopback."""
    here, ready = Sink(answer=answer), threading.Event()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def run() -> None:
        async with receiver(here.serve) as listening:
            here.url = listening.url
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(DEADLINE)
        loop.close()


def _read(request: Request) -> Came:
    headers = request.headers
    return Came(
        id=headers["webhook-id"],
        attempt=int(headers["webhook-attempt"]),
        sequence=int(headers["webhook-sequence"]),
        headers=headers,
        data=json.loads(request.body)["data"],
        body=request.body,
    )
