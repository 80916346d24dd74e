"""Daphne as we run it: counts, drains on SIGTERM and closes with a code.

By itself it gives a client bytes without end, has no drain (django/daphne#177) and cuts every
socket at SIGTERM; its own stop also trips over a connection that has no application yet.
"""

import asyncio
import contextlib
import logging
from typing import Any

from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor

from realtime.backpressure import WIRE
from realtime.hub import hub
from realtime.servers.daphne_wire import ReasonedWebSocket, wire_of

logger = logging.getLogger(__name__)
CLOSE_SECONDS = 3  # for a client to answer its close frame; then the socket is aborted
LINGER_SECONDS = 1.0  # for close handshakes, after the last close


class DrainingServer(Server):  # type: ignore[misc]
    """Hands out wires, and sends every follower away before it stops."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Give the application the wire of its connection."""
        scope["extensions"] = {**scope.get("extensions", {}), WIRE: wire_of(protocol)}
        return super().create_application(protocol, scope)

    def set_up(self) -> None:
        """Fail a connection by its close frame, not by dropping it; called before it serves."""
        self.ws_factory.protocol = ReasonedWebSocket
        self.ws_factory.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=CLOSE_SECONDS)
        reactor.callWhenRunning(self._start_hub)

    def kill_all_applications(self) -> "defer.Deferred[Any]":
        """Drain first; Twisted waits for this before it disconnects anybody."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    def _start_hub(self) -> None:
        asyncio.get_event_loop().call_soon(hub)
        logger.info("stream_listening", extra={"endpoints": self.endpoints})

    async def _drain(self) -> None:
        await hub().drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._streams_open():  # noqa: ASYNC110 Daphne offers no event
                    await asyncio.sleep(0.02)
        for details in list(self.connections.values()):
            application = details.get("application_instance")
            if application is not None:
                application.cancel()
        await hub().close()

    def _streams_open(self) -> bool:
        return any(
            isinstance(connection, WebSocketProtocol) and "disconnected" not in details
            for connection, details in self.connections.items()
        )


def serve_by_daphne(application: Any, *, host: str, port: int, frame_bytes: int) -> None:
    """Serve until told to stop."""
    address = host.replace(":", "\\:")
    server = DrainingServer(
        application=application,
        endpoints=[f"tcp:port={port}:interface={address}"],
        websocket_timeout=-1,  # the hub ends streams by age, with a code to resume on
        websocket_max_message_size=frame_bytes,
        websocket_max_frame_size=frame_bytes,
        server_name="",
        verbosity=1,
    )
    server.ready_callable = server.set_up
    server.run()
