"""uvicorn as we run it: drains on SIGTERM before it stops, and ends with 0."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Generator
from typing import Any

from uvicorn import Config, Server

from realtime.hub import hub
from realtime.servers.uvicorn_wire import HttpProtocol, WebSocketProtocol

logger = logging.getLogger(__name__)
LINGER_SECONDS = 1.0  # for close handshakes, after the last close


class DrainingServer(Server):
    """Sends every follower away before it stops listening."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the hub with the server, so that readiness means something."""
        hub()
        await super().startup(sockets)
        logger.info("stream_listening", extra={"host": self.config.host, "port": self.config.port})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Not ready, drain, let close handshakes end; only then as uvicorn does."""
        await hub().drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._streams_open():  # noqa: ASYNC110 uvicorn offers no event
                    await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        await hub().close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGTERM and SIGINT, without raising them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    def _streams_open(self) -> bool:
        return any(isinstance(each, WebSocketProtocol) for each in self.server_state.connections)


def serve_by_uvicorn(application: Any, *, host: str, port: int, frame_bytes: int) -> None:
    """Serve until told to stop; raises SystemExit where the address is taken."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its lines show tickets
    config = Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=frame_bytes,
        ws_per_message_deflate=False,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    DrainingServer(config).run()
