"""How much of a process Django takes under ASGI, where each request has a thread of its own.

A thread that works has a seat, and only who has a seat has a connection to PostgreSQL: it is closed
before the seat is left. A seat is left while a thread waits for its client, and for good once the
answer begins. So however many ask, and however slowly they send and read, PostgreSQL sees no more
connections than there are seats.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from tasks_app.api.arriving import SEAT, Application, Receive, Scope, Send
from tasks_app.api.asgi_refusal import refuse

SEATS: Final = 8  # threads at work, each with a connection
MOST: Final = 128  # requests under way, each with a thread
PATIENCE: Final = 5.0  # seconds a request waits for its first seat
FULL: Final = "This process has all the requests that it can take; nothing was done."


class Seat:
    """One request's, taken and left; its holder is the request's thread."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free, self._held, self._is_over = free, False, False
        self._loop = asyncio.get_running_loop()
        self._since = 0.0

    async def take(self, patience: float | None = None) -> None:
        """Wait for a seat. Raises TimeoutError after ``patience`` seconds; None waits on."""
        async with asyncio.timeout(patience):
            await self._free.acquire()
        self._held, self._since = True, time.monotonic()

    async def leave(self) -> None:
        """Leave for good, once the thread is done and what it had open is closed. Twice is once."""
        if self._is_over:
            return
        self._is_over = True
        try:
            await sync_to_async(close_connections)()  # behind whatever the thread is at
        finally:
            if self._held:
                self._held = False
                self._free.release()

    def held_for(self) -> float:
        """Return for how many seconds it has been held at a stretch."""
        return time.monotonic() - self._since

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Leave it meanwhile. For the request's own thread, outside any transaction.

        It is not taken again after an error: that is the server's stopping.
        """
        close_connections()
        self._held = False
        self._loop.call_soon_threadsafe(self._free.release)
        yield
        asyncio.run_coroutine_threadsafe(self.take(), self._loop).result()


def close_connections() -> None:
    """Close this thread's connections to the database, but for one in a transaction."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def with_seats(
    application: Application,
    *,
    seats: int = SEATS,
    most: int = MOST,
    patience: float = PATIENCE,
) -> Application:
    """Wrap Django: ``seats`` of ``most`` requests are worked on; the rest is answered with 503."""
    free, under_way = asyncio.Semaphore(seats), 0

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if under_way >= most:
            await _refuse(scope, send)
            return
        under_way += 1
        try:
            async with ThreadSensitiveContext():  # Django's own is then the same
                await _seated(scope, receive, send)
        finally:
            under_way -= 1

    async def _seated(scope: Scope, receive: Receive, send: Send) -> None:
        seat = Seat(free)
        try:
            await seat.take(patience)
        except TimeoutError:
            await _refuse(scope, send)
            return

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                await seat.leave()
            await send(message)

        extensions = {**(scope.get("extensions") or {}), SEAT: seat}
        try:
            await application({**scope, "extensions": extensions}, receive, answer)
        finally:
            await seat.leave()

    return wrapped


async def _refuse(scope: Scope, send: Send) -> None:
    await refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, FULL, Retry_After="1")
