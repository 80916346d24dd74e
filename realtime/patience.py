"""Long answers of Django's (exports): sent as fast as a client reads, and never ended too early.

Servers differ in what `send()` waits for, Daphne's for nothing at all; here every piece waits until
the socket has taken it. A client that reads nothing for a while is cut off, and so is one whose
answer goes wrong in the middle: it must not take a part for the whole.
"""

import asyncio
import contextlib
import logging

from django.conf import settings

from realtime.asgi_types import Application, Message, Receive, Scope, Send
from realtime.backpressure import WIRE, Wire

logger = logging.getLogger(__name__)
GONE_SECONDS = 5.0  # for the server to notice that we have dropped a connection


class _Cut(Exception):
    """The client is cut off."""


def patiently(application: Application) -> Application:
    """Wrap an application, so that its answer waits for its client, within reason."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await _Answer(scope, send).run(application, receive)

    return wrapped


class _Answer:
    """One answer on its way."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._wire: Wire | None = (scope.get("extensions") or {}).get(WIRE)
        self._began = self._ended = False

    async def run(self, application: Application, receive: Receive) -> None:
        """Serve; what goes wrong after the first byte is logged and cuts the connection."""
        try:
            await application(self._scope, receive, self._take)
        except _Cut:
            return
        except Exception:
            if self._wire is None or not self._began or self._ended:
                raise
            logger.exception("answer_cut", extra={"path": self._scope["path"]})
            self._wire.abort()
            await _gone(receive)

    async def _take(self, message: Message) -> None:
        self._began = self._began or message["type"] == "http.response.start"
        self._ended = message["type"] == "http.response.body" and not message.get("more_body")
        if self._wire is None:
            await self._send(message)
            return
        try:
            async with asyncio.timeout(settings.STREAM_STALL_SECONDS):
                await self._send(message)
                await asyncio.sleep(0)  # Daphne writes only when the loop comes round
                await self._wire.drained()
        except TimeoutError:
            logger.info("answer_cut", extra={"path": self._scope["path"], "why": "not read"})
            await self._abort(self._wire)
            raise _Cut from None

    async def _abort(self, wire: Wire) -> None:
        wire.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                await wire.drained()


async def _gone(receive: Receive) -> None:
    """Wait until the server has seen that nobody is there, or it would call this our failure."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GONE_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
