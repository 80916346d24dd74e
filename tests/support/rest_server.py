"""A real little REST server: tasks under /tasks, idempotency keys honoured as strictly as told."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.receiver import Exchange, receiver

DEADLINE = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and the status it was answered with; 0 where the answer got lost."""

    method: str
    path: str
    key: str
    attempt: int
    body: Any
    status: int


@dataclass(slots=True)
class Reply:
    """What the server would say."""

    status: int
    body: Any = None


Trouble = Callable[[Exchange, Reply], Awaitable[bool]]


@dataclass(slots=True, eq=False)
class RestServer:
    """Resources by id, answers by key, and all that was asked.

    ``trouble`` is called once the work is done and before it is told: returning False, it has
    answered itself, or kept silent. With ``strict`` one key with another body is 422, as the IETF
    draft says; without ``keys`` no key is heeded at all.
    """

    url: str = ""
    strict: bool = True
    keys: bool = True
    things: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    created: int = 0
    prefix: str = ""
    trouble: Trouble | None = None
    refuse: Callable[[str, Any], int] | None = None
    wrap: Callable[[str, Any], Any] = lambda name, thing: {**thing, "id": name}
    done: dict[str, tuple[Any, Reply]] = field(default_factory=dict)

    @property
    def lines(self) -> list[tuple[str, str, int]]:
        """Method, path and status of each request, in order."""
        return [(one.method, one.path, one.status) for one in self.asked]

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come."""
        ends = time.monotonic() + DEADLINE
        while len(self.asked) < count:
            assert time.monotonic() < ends, f"only {self.asked} of {count}"
            time.sleep(0.005)

    async def serve(self, exchange: Exchange) -> None:
        """Work, then answer."""
        request = exchange.request
        method, path, _ = request.line.split(" ")
        body = json.loads(request.body) if request.body else None
        headers = request.headers
        key = headers.get("idempotency-key", "")
        reply = self._answer(method, path, body, key)
        attempt = int(headers["webhook-attempt"])
        at = len(self.asked)
        self.asked.append(Asked(method, path, key, attempt, body, 0))
        if self.trouble is not None and not await self.trouble(exchange, reply):
            return
        self.asked[at] = Asked(method, path, key, attempt, body, reply.status)
        sent = b"" if reply.body is None else json.dumps(reply.body).encode()
        await exchange.answer(reply.status, sent)

    def _answer(self, method: str, path: str, body: Any, key: str) -> Reply:
        refused = self.refuse(method, body) if self.refuse is not None else 0
        if refused:
            return Reply(refused, {"error": "refused"})
        if method == "POST" and self.keys and key in self.done:
            first, reply = self.done[key]
            return reply if first == body or not self.strict else Reply(422, {"error": "key"})
        reply = self._work(method, path.partition("?")[0].strip("/"), body)
        if method == "POST":
            self.done[key] = (body, reply)
        return reply

    def _work(self, method: str, path: str, body: Any) -> Reply:
        name = unquote(path.partition("/")[2])
        if not name:
            return self._create(body) if method == "POST" else Reply(200, list(self.things))
        if name not in self.things:
            return Reply(404)
        if method == "DELETE":
            del self.things[name]
            return Reply(204)
        self.things[name] = {**self.things[name], **body} if method == "PATCH" else body
        return Reply(200, self.wrap(name, body))

    def _create(self, body: Any) -> Reply:
        self.created += 1
        name = f"{self.prefix}{100 + self.created}"
        self.things[name] = body
        return Reply(201, self.wrap(name, body))


@contextlib.contextmanager
def rest_server(**options: Any) -> Iterator[RestServer]:
    """Listen on a free port of loopback, in a thread of its own."""
    here, ready = RestServer(**options), threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with receiver(here.serve) as listening:
            here.url = f"http://127.0.0.1:{listening.port}/tasks"
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


async def lost(exchange: Exchange, _reply: Reply) -> bool:
    """Do the work and close without a word."""
    exchange.reset()
    return False


def first(count: int, trouble: Trouble) -> Trouble:
    """Return trouble for so many requests, and none after."""
    left = [count]

    async def some(exchange: Exchange, reply: Reply) -> bool:
        left[0] -= 1
        return await trouble(exchange, reply) if left[0] >= 0 else True

    return some
