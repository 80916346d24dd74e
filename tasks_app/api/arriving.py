"""Bodies under ASGI that a view reads while they come in, once it knows who sends them.

Django reads a whole body before it looks at anything; a file of 100 MiB from nobody we know would
lie on our disk first. Here the view asks for each piece itself, from its thread, and the loop waits
for the client, so a slow one is slow for itself alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from django.http import UnreadablePostError
from rest_framework.request import Request

BODY: Final = "aftercommit.body"  # in scope["extensions"]
STALL: Final = 60.0  # seconds for the next piece
DROPPING: Final = 60.0  # seconds for the rest of a body that nobody wants

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Arriving:
    """A body on its way. One reader at a time: the view's thread, then what drops the rest."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._ended, self._gone, self._told = asyncio.Event(), False, False

    def read(self) -> bytes:
        """Return the next piece, nothing at the end. For a thread that is not the loop's.

        Raises UnreadablePostError where the client has gone, or sends nothing for STALL seconds.
        """
        piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if self._gone:
            raise UnreadablePostError("The body ended early.")
        return piece

    async def _next(self) -> bytes:
        """Return the next piece that is not empty."""
        while not self._ended.is_set():
            try:
                message = await asyncio.wait_for(self._receive(), STALL)
            except TimeoutError:
                message = {"type": "http.disconnect"}
            self._gone = message["type"] == "http.disconnect"
            if self._gone or not message.get("more_body", False):
                self._ended.set()
            if data := bytes(message.get("body", b"")):
                return data
        return b""

    async def drop(self) -> None:
        """Read what is left, so that whoever sends it hears the answer (and no broken pipe)."""
        try:
            async with asyncio.timeout(DROPPING):
                while await self._next():
                    pass
        except TimeoutError:
            self._ended.set()

    async def receive(self) -> Any:
        """Give Django an empty body, and later word of the client's going."""
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._ended.wait()
        while not self._gone:
            self._gone = (await self._receive())["type"] == "http.disconnect"
        return {"type": "http.disconnect"}


def with_arriving_uploads(application: Application, *, path: str) -> Application:
    """Wrap Django: what is sent to this path arrives while its view runs."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != path:
            await application(scope, receive, send)
            return
        body = Arriving(receive)

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                await body.drop()
            await send(message)

        extensions = {**(scope.get("extensions") or {}), BODY: body}
        await application({**scope, "extensions": extensions}, body.receive, answer)

    return wrapped


class Body:
    """The body of a request as a file, whether it has come in already or not."""

    def __init__(self, request: Request) -> None:
        given = request._request
        scope = getattr(given, "scope", {})
        self._arriving: Arriving | None = (scope.get("extensions") or {}).get(BODY)
        self._given, self._rest = given, b""
        self._missing = int(given.META.get("CONTENT_LENGTH") or 0)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes; fewer are no end, none is.

        Raises UnreadablePostError where the body ends before it should.
        """
        data = self._rest or self._next(size)
        size = len(data) if size < 0 else size
        data, self._rest = data[:size], data[size:]
        return data

    def _next(self, size: int) -> bytes:
        data = self._arriving.read() if self._arriving else self._given.read(size)
        self._missing -= len(data)
        if not data and self._missing > 0:
            raise UnreadablePostError("The body ended early.")
        return data
