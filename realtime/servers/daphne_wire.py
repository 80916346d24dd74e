"""Daphne's connections, with Twisted's write buffer in our hands.

Daphne queues for a client without end and never looks at what waits (django/daphne#170). The
buffer of Twisted's `FileDescriptor` is what we count; it is no public attribute, so
tests/integration/test_stream_slow_clients.py holds us to it.
"""

import asyncio
from typing import Any

from autobahn.websocket.protocol import WebSocketProtocol as Autobahn
from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol

from realtime.backpressure import LOW_WATER

POLL_SECONDS = 0.05  # Twisted's one producer per transport is taken by its HTTP channel


class TwistedWire:
    """The write buffer of a Twisted TCP transport."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Queue bytes; nothing once the socket is closing."""
        if self._open():
            self._transport.write(data)

    def waiting(self) -> int:
        """Return how many bytes the socket has not taken."""
        if not self._open():
            return 0
        buffered: int = len(self._transport.dataBuffer) - self._transport.offset
        return buffered + int(self._transport._tempDataLen)

    async def drained(self) -> None:
        """Wait until little waits, or the socket is gone."""
        while self.waiting() > LOW_WATER:  # noqa: ASYNC110 see POLL_SECONDS
            await asyncio.sleep(POLL_SECONDS)

    def abort(self) -> None:
        """Drop the connection and what waits for it."""
        self._transport.abortConnection()

    def _open(self) -> bool:
        return bool(self._transport.connected) and not self._transport.disconnecting


class WebSocketWire(TwistedWire):
    """A WebSocket's; only while it is open, never after its close frame."""

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol.transport)
        self._protocol = protocol

    def _open(self) -> bool:
        return super()._open() and self._protocol.state == Autobahn.STATE_OPEN


class RequestWire(TwistedWire):
    """An HTTP answer's; Twisted cuts the chunks (RFC 9112 §7.1)."""

    def __init__(self, request: Any) -> None:
        super().__init__(request.transport)
        self._request = request

    def write(self, data: bytes) -> None:
        """Queue a piece of the body; nothing once the client has gone."""
        if self._open() and not self._request.finished and self._request.channel is not None:
            self._request.write(data)


class ReasonedWebSocket(WebSocketProtocol):  # type: ignore[misc]
    """Daphne's WebSocket, which also says why it closes (django/daphne#374)."""

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Close with a code and a reason; all else as Daphne does."""
        if message["type"] == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.sendClose(code=message.get("code", 1000), reason=message.get("reason") or None)
        else:
            super().handle_reply(message)


def wire_of(connection: Any) -> TwistedWire | None:
    """Return the wire of one of Daphne's connections."""
    if isinstance(connection, WebSocketProtocol):
        return WebSocketWire(connection)
    if isinstance(connection, WebRequest):
        return RequestWire(connection)
    return None
