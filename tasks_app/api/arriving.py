"""Bodies under ASGI that a view reads while they come in, once it knows who sends them.

Django reads a whole body before it looks at anything; a file of 100 MiB from nobody we know would
lie on our disk first. Here the view asks for each piece itself, from its thread, and the loop waits
for the client, so a slow one is slow for itself alone: meanwhile its seat is another's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from django.http import UnreadablePostError
from rest_framework.request import Request

BODY: Final = "aftercommit.body"  # in scope["extensions"]
SEAT: Final = "aftercommit.seat"  # likewise
AT_HAND: Final = 0.05  # seconds that a piece may take without its reader leaving the seat
AT_A_STRETCH: Final = 1.0  # seconds after which the reader leaves it for others in any case
STALL: Final = 60.0  # seconds for the next piece
DROPPING: Final = 60.0  # seconds for the rest of a body that nobody wants

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Leavable(Protocol):
    """A seat (seats.py), as far as a reader knows it."""

    def held_for(self) -> float:
        """Return for how many seconds it has been held."""

    def left(self) -> AbstractContextManager[None]:
        """Leave it meanwhile."""


class Arriving:
    """A body on its way. One reader at a time: the view's thread, then what drops the rest."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._ended, self._gone, self._told = asyncio.Event(), False, False

    def read(self, seat: Leavable | None = None) -> bytes:
        """Return the next piece, nothing at the end. For a thread that is not the loop's.

        The seat is left while there is nothing to read, and now and then even so.
        Raises UnreadablePostError where the client has gone, or sends nothing for STALL seconds.
        """
        coming = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        piece = coming.result() if seat is None else _patient(coming, seat)
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


def _patient(coming: "Future[bytes]", seat: Leavable) -> bytes:
    """Return what comes, and leave the seat where that takes long or it was held for long."""
    try:
        return coming.result(0 if seat.held_for() > AT_A_STRETCH else AT_HAND)
    except TimeoutError:
        with seat.left():
            return coming.result()


def with_arriving_uploads(
    application: Application, *, path: str, otherwise: Application
) -> Application:
    """Wrap Django: what is sent to this path arrives while its view runs.

    Its answer, which is short, is sent once Django is done with the request: whoever goes on
    sending what nobody wants keeps nothing of Django's busy.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != path:
            await otherwise(scope, receive, send)
            return
        body, answer = Arriving(receive), list[Any]()

        async def keep(message: Any) -> None:
            answer.append(message)

        extensions = {**(scope.get("extensions") or {}), BODY: body}
        await application({**scope, "extensions": extensions}, body.receive, keep)
        await body.drop()
        for message in answer:
            await send(message)

    return wrapped


class Body:
    """The body of a request as a file, whether it has come in already or not."""

    def __init__(self, request: Request) -> None:
        given = request._request
        extensions = getattr(given, "scope", {}).get("extensions") or {}
        self._arriving: Arriving | None = extensions.get(BODY)
        self._seat: Leavable | None = extensions.get(SEAT)
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
        data = self._arriving.read(self._seat) if self._arriving else self._given.read(size)
        self._missing -= len(data)
        if not data and self._missing > 0:
            raise UnreadablePostError("The body ended early.")
        return data
