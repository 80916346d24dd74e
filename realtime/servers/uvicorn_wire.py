"""uvicorn's two protocols, with the socket's own buffer in our hands.

uvicorn waits for a slow client inside `send()`, and its close waits for it too; it also closes
on a parse error while bytes are still coming in, so that the reset eats the close frame. Here
`send()` never waits, what waits is counted, and every close has an end.
"""

import asyncio
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from realtime.asgi_types import Application, Receive, Scope, Send
from realtime.backpressure import HIGH_WATER, LOW_WATER, WIRE

CLOSE_SECONDS = 3.0  # for a client to take its close frame and answer it
PONG_ROOM = 64 * 1024  # beyond the buffer: for answers to pings


class TransportWire:
    """The write buffer of an asyncio transport."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._room = asyncio.Event()
        self._room.set()
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def write(self, data: bytes) -> None:
        """Queue bytes; nothing once the socket is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def waiting(self) -> int:
        """Return how many bytes the socket has not taken."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Wait until little waits, or the socket is gone."""
        await self._room.wait()

    def abort(self) -> None:
        """Drop the connection and what waits for it."""
        self.transport.abort()

    def pause(self) -> None:
        """Much waits."""
        self._room.clear()

    def resume(self) -> None:
        """Little waits, or nobody is there any more."""
        self._room.set()


class BodyWire(TransportWire):
    """The same for the body of an answer: in chunks (RFC 9112 §7.1), which HTTP/1.0 has not."""

    is_chunked = True

    def write(self, data: bytes) -> None:
        """Queue a piece of the body."""
        super().write(b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose sends never wait and whose close always ends."""

    wire: TransportWire
    buffer_bytes = 1024 * 1024

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport's buffer in hand."""
        self.wire = TransportWire(cast("asyncio.Transport", transport))  # uvloop's own class
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for room."""
        self.wire.resume()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let only those wait who ask for room; `send()` never does."""
        self.wire.pause()

    def resume_writing(self) -> None:
        """Little waits again."""
        self.wire.resume()

    async def run_asgi(self) -> None:
        """Give the application the wire, and see to it that a close comes to an end."""
        extensions: dict[str, Any] = {WIRE: self.wire}
        cast("Scope", self.scope)["extensions"].update(extensions)
        try:
            await super().run_asgi()
        finally:
            self._end_soon()

    def handle_ping(self) -> None:
        """Answer, unless the client sends pings and reads nothing."""
        super().handle_ping()
        if self.wire.waiting() > self.buffer_bytes + PONG_ROOM:
            self.wire.abort()

    def handle_parser_exception(self) -> None:
        """Send the close frame and read on until the client has had it (RFC 6455 §7.1.1)."""
        if self.close_sent:
            return
        assert self.conn.close_sent is not None  # noqa: S101
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _end_soon(self) -> None:
        """Abort what a client leaves lying; `transport.close()` alone would wait for it."""
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


class HttpProtocol(H11Protocol):
    """HTTP whose event streams write straight into the buffer."""

    wire: BodyWire

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the transport's buffer in hand."""
        self.wire = BodyWire(transport)
        self.app = partial(_with_wire, self.app, self.wire)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for room."""
        self.wire.resume()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Much waits."""
        self.wire.pause()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Little waits again."""
        self.wire.resume()
        super().resume_writing()


async def _with_wire(
    application: Application, wire: BodyWire, scope: Scope, receive: Receive, send: Send
) -> None:
    """Give the application the wire."""
    wire.is_chunked = scope["http_version"] != "1.0"
    scope["extensions"] = {**scope.get("extensions", {}), WIRE: wire}
    await application(scope, receive, send)
