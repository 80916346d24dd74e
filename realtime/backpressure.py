"""The way to one client: writes never wait, and what waits is counted.

The servers of `manage.py stream` hand us a `Wire` to the socket's own buffer, so that what a
client has not read is known to the byte. Elsewhere (runserver) a queue of ours stands in; it
knows what the server has not taken, not what the client has not read.
"""

import asyncio
import contextlib
from collections import deque
from typing import Literal, Protocol

from realtime.asgi_types import Message, Scope, Send
from realtime.frames import Sendable

WIRE = "aftercommit.wire"  # in scope["extensions"]
HIGH_WATER, LOW_WATER = 256 * 1024, 64 * 1024  # bytes: a replay pauses above, goes on below

FINISH_SECONDS = 1.0

Form = Literal["websocket", "http"]


class Wire(Protocol):
    """A socket's write buffer, given by the server in the scope."""

    def write(self, data: bytes) -> None:
        """Queue bytes of the right framing; never waits; nothing once the socket is gone."""

    def waiting(self) -> int:
        """Return how many bytes the client has not taken."""

    async def drained(self) -> None:
        """Wait until little waits, or the socket is gone."""

    def abort(self) -> None:
        """Drop the connection and what waits for it."""


class Line(Protocol):
    """What a follower writes to."""

    def write(self, message: Sendable) -> None:
        """Queue a message; never waits."""

    def waiting(self) -> int:
        """Return how many bytes wait."""

    async def drained(self) -> None:
        """Wait until little waits."""

    def abort(self) -> None:
        """Drop the connection."""

    async def finish(self) -> None:
        """Hand over what the server can take; nothing may be written afterwards."""


class DirectLine:
    """Writes straight into the socket's buffer."""

    def __init__(self, wire: Wire, form: Form) -> None:
        self._wire = wire
        self._event_stream = form == "http"
        self.waiting = wire.waiting
        self.drained = wire.drained
        self.abort = wire.abort

    def write(self, message: Sendable) -> None:
        """Queue a message; never waits."""
        self._wire.write(message.event_stream if self._event_stream else message.websocket)

    async def finish(self) -> None:
        """Nothing to do: all is in the socket's buffer already."""


class QueuedLine:
    """Sends through the server, from a task of its own."""

    def __init__(self, send: Send, form: Form) -> None:
        self._send, self._form = send, form
        self._queue: deque[tuple[bytes, Message]] = deque()
        self._bytes = 0
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        self._emptied.set()
        self._task = asyncio.create_task(self._run())

    def write(self, message: Sendable) -> None:
        """Queue a message; never waits."""
        for data in [message.event_stream] if self._form == "http" else message.texts:
            self._queue.append((data, self._wrap(data)))
            self._bytes += len(data)
        self._emptied.clear()
        self._filled.set()

    def waiting(self) -> int:
        """Return how many bytes the server has not taken."""
        return self._bytes

    async def drained(self) -> None:
        """Wait until the server has taken all."""
        await self._emptied.wait()

    def abort(self) -> None:
        """Stop sending; the connection ends with the application."""
        self._task.cancel()
        self._emptied.set()

    async def finish(self) -> None:
        """Let the queue empty for a moment, then drop what is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self.drained()
        self.abort()

    def _wrap(self, data: bytes) -> Message:
        if self._form == "http":
            return {"type": "http.response.body", "body": data, "more_body": True}
        return {"type": "websocket.send", "text": data.decode()}

    async def _run(self) -> None:
        with contextlib.suppress(OSError):  # the client has gone (ASGI 2.4)
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    data, message = self._queue.popleft()
                    await self._send(message)
                    self._bytes -= len(data)
                self._emptied.set()


def line_to(scope: Scope, send: Send, form: Form) -> Line:
    """Return the best way to this client that its server offers."""
    wire = (scope.get("extensions") or {}).get(WIRE)
    return DirectLine(wire, form) if wire else QueuedLine(send, form)
