"""Bodies under ASGI that are read before Django runs: small ones, soon, a few at a time.

Django would spool whatever comes into the temporary folder before it looks at who sends it.
"""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, Final

from tasks_app.api.arriving import Application, Receive, Scope, Send
from tasks_app.api.asgi_refusal import header, refuse

SECONDS: Final = 15.0  # for all of a body
AT_ONCE: Final = 32  # bodies in memory, on their way or being answered
DROPPING: Final = 0.5  # seconds for which what is too large is still read, and forgotten

TOO_LARGE: Final = "The body is larger than the limit."
TOO_SLOW: Final = "The body did not come in time."
TOO_MANY: Final = "Too many bodies come in at once; nothing was done."


class _TooLarge(Exception):
    """There is more than there may be."""


class _Gone(Exception):
    """The client went before the end."""


class SmallBodies:
    """Wraps an application, which is asked once a body of up to ``limit`` bytes is here.

    A larger one is answered with 413, whether it says its length or comes in chunks; one that takes
    longer than ``seconds`` with 408; what is beyond ``at_once`` with 503. So memory holds
    ``limit * at_once`` bytes at most.
    """

    def __init__(
        self,
        application: Application,
        *,
        limit: int,
        seconds: float = SECONDS,
        at_once: int = AT_ONCE,
    ) -> None:
        self._application, self._limit, self._seconds = application, limit, seconds
        self._places = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not _has_body(scope):
            await self._application(scope, receive, send)
        elif _length(scope) > self._limit:
            await _refuse_as_large(scope, receive, send)
        elif self._places.locked():
            await refuse(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY, Retry_After="1")
        else:
            async with self._places:
                await self._read_and_answer(scope, receive, send)

    async def _read_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                body = await _whole(receive, self._limit)
        except _Gone:
            return
        except _TooLarge:
            await _refuse_as_large(scope, receive, send)
        except TimeoutError:
            await refuse(scope, send, HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW)
        else:
            await self._application(scope, _told_again(body, receive), send)


def _has_body(scope: Scope) -> bool:
    """Tell whether there is one to read (RFC 9112 §6.3)."""
    if scope["type"] != "http":
        return False
    return bool(header(scope, b"transfer-encoding")) or _length(scope) > 0


def _length(scope: Scope) -> int:
    text = header(scope, b"content-length")
    return int(text) if text.isdecimal() else 0


async def _whole(receive: Receive, limit: int) -> bytes:
    """Return the body. Raises _TooLarge and _Gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > limit:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


async def _refuse_as_large(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse, a moment later: who sends on when the connection ends may not hear the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DROPPING):
            while (await receive()).get("more_body", False):
                pass
    await refuse(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)


def _told_again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that begins with the body, and goes on with what comes later."""
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again
