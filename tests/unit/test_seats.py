"""Who has a seat may work; the rest waits or is refused, and no seat is ever lost."""

import asyncio
import json
import threading
from typing import Any

from asgiref.sync import sync_to_async

from tasks_app.api.arriving import SEAT, Receive, Scope, Send
from tasks_app.api.seats import with_seats
from tasks_app.api.small_bodies import SmallBodies

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}


class World:
    """An application that works in its thread until it is let go, and counts who does."""

    def __init__(self) -> None:
        self.go_on, self.at_work, self.most = threading.Event(), 0, 0
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work, then answer."""
        await sync_to_async(self._work)(scope["extensions"][SEAT] if "waits" in scope else None)
        await answer(send)

    def _work(self, seat: Any) -> None:
        if seat is not None:
            with seat.left():
                self.go_on.wait(20)
            return
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.go_on.wait(20)
        with self._lock:
            self.at_work -= 1


async def answer(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def asked(application: Any, receive: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and the problem of an answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await application({**SCOPE, **more}, receive, send)
    body = sent[1]["body"]
    return sent[0]["status"], json.loads(body) if body else {}


async def turned(is_so: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.005)


def test_no_more_work_than_there_are_seats_and_all_are_answered() -> None:
    async def run() -> None:
        world = World()
        application = with_seats(world, seats=2, most=6)
        tasks = [asyncio.ensure_future(asked(application)) for _ in range(6)]
        await turned(lambda: world.at_work == 2)
        world.go_on.set()
        assert [status for status, _ in await asyncio.gather(*tasks)] == [200] * 6
        assert world.most == 2

    asyncio.run(run())


def test_who_waits_for_too_long_or_beyond_all_bounds_is_told_when_to_come_again() -> None:
    async def run() -> None:
        world = World()
        application = with_seats(world, seats=1, most=2, patience=0.05)
        first = asyncio.ensure_future(asked(application))
        await turned(lambda: world.at_work == 1)
        second, third = await asyncio.gather(asked(application), asked(application))
        for status, problem in (second, third):
            assert (status, problem["type"]) == (503, "/problems/unavailable")
        world.go_on.set()
        assert (await first)[0] == 200
        assert (await asked(application))[0] == 200

    asyncio.run(run())


def test_who_waits_for_a_client_leaves_the_seat_to_others() -> None:
    async def run() -> None:
        waiting, working = World(), World()
        working.go_on.set()

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            await (waiting if "waits" in scope else working)(scope, receive, send)

        application = with_seats(both, seats=1, most=3, patience=5)
        slow = [asyncio.ensure_future(asked(application, waits=True)) for _ in range(2)]
        assert (await asked(application))[0] == 200
        waiting.go_on.set()
        assert [status for status, _ in await asyncio.gather(*slow)] == [200, 200]

    asyncio.run(run())


def test_a_request_that_is_cancelled_gives_its_seat_back_once_its_thread_is_done() -> None:
    async def run() -> None:
        world = World()
        application = with_seats(world, seats=1, most=2, patience=0.05)
        first = asyncio.ensure_future(asked(application))
        await turned(lambda: world.at_work == 1)
        first.cancel()
        assert (await asked(application))[0] == 503
        world.go_on.set()
        await asyncio.gather(first, return_exceptions=True)
        assert (await asked(application))[0] == 200

    asyncio.run(run())


def test_a_body_that_drips_is_refused_and_so_is_one_too_many() -> None:
    async def run() -> None:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            assert (await receive())["body"] == b"ab"
            await answer(send)

        async def never() -> Any:
            await asyncio.Event().wait()

        bodies = SmallBodies(application, limit=2, seconds=0.1, at_once=1)
        length = {"headers": [(b"content-length", b"2")]}
        slow = asyncio.ensure_future(asked(bodies, never, **length))
        await asyncio.sleep(0)
        assert (await asked(bodies, never, **length))[0] == 503
        assert (await slow)[0] == 408
        pieces = iter((b"a", b"b"))

        async def receive() -> Any:
            piece = next(pieces)
            return {"type": "http.request", "body": piece, "more_body": piece == b"a"}

        assert (await asked(bodies, receive, **length))[0] == 200

    asyncio.run(run())
