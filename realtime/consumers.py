"""The WebSocket at /ws/tasks: handshake, the client's messages, the close code.

A plain ASGI application instead of a Channels consumer: a consumer's dispatch visits a shared
thread for every message, so that one slow query would hold up every socket.
"""

import asyncio
import contextlib
import logging
from time import monotonic

from django.db import Error as DatabaseError

from realtime.admission import admit
from realtime.asgi_types import Receive, Scope, Send, header
from realtime.auth import Credentials, Refused, authenticate
from realtime.backpressure import line_to
from realtime.close_codes import BROKEN, GOING_AWAY, TOO_BIG, TOO_MANY_MESSAGES, Close
from realtime.cursor import BadCursor, Cursor, parse_cursor
from realtime.database import in_thread
from realtime.filter import BadFilter, Filter
from realtime.follower import Follower
from realtime.frames import Frame
from realtime.handshake import credentials_of, filter_of, query_of, session_cookie
from realtime.hub import Hub, hub
from realtime.origin import is_allowed
from realtime.protocol import Answer, Rate, Renew, Subscribe, error, read_binary, read_text

logger = logging.getLogger(__name__)
NOWHERE = Cursor(-1, "")  # lies in no log: the follower is reset


async def follow_by_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from handshake to close."""
    await receive()
    if not _origin_holds(scope):
        await send({"type": "websocket.close"})  # before accept: HTTP 403
        return
    await send({"type": "websocket.accept"})
    close = await _serve(scope, receive, send)
    if close is not None:
        with contextlib.suppress(OSError):  # the client has gone meanwhile
            reason = {"code": close.code, "reason": close.reason}
            await send({"type": "websocket.close", **reason})


def _origin_holds(scope: Scope) -> bool:
    origin = header(scope, b"origin")
    if origin is not None:
        return is_allowed(origin, host=header(scope, b"host"))
    shown = credentials_of(scope, tickets=True)
    only_cookie = shown.authorization is None and shown.ticket is None
    return not (only_cookie and session_cookie(scope))


async def _serve(scope: Scope, receive: Receive, send: Send) -> Close | None:
    """Follow until it is over; return the close to send, None where the client has gone."""
    home = hub()
    if home.draining:
        return GOING_AWAY
    try:
        principal, head = await in_thread(admit, credentials_of(scope, tickets=True))
    except Refused as refused:
        return refused.close
    except DatabaseError:
        logger.warning("stream_admission_failed", exc_info=True)
        return GOING_AWAY
    line = line_to(scope, send, "websocket")
    wanted, complaint = _filter(scope)
    follower = Follower(line=line, principal=principal, limits=home.limits, wanted=wanted)
    home.enter(follower, head=head, cursor=_cursor(scope))
    if complaint:
        follower.send(complaint)
    try:
        close = await _until_over(Listener(home, follower, receive), follower)
    finally:
        home.leave(follower)
    await line.finish()
    _log(follower, close)
    return close


async def _until_over(listener: "Listener", follower: Follower) -> Close | None:
    reading = asyncio.create_task(listener.listen())
    try:
        return await follower.over
    finally:
        follower.end(None)
        reading.cancel()


def _cursor(scope: Scope) -> Cursor | None:
    """Return where to begin; a text that is no cursor is one that lies nowhere."""
    after = query_of(scope).get("after")
    if after is None:
        return None
    try:
        return parse_cursor(after[0])
    except BadCursor:
        return NOWHERE


def _filter(scope: Scope) -> tuple[Filter | None, Frame | None]:
    try:
        return filter_of(scope), None
    except BadFilter as problem:
        return None, error("bad_filter", str(problem))


def _log(follower: Follower, close: Close | None) -> None:
    fields = {
        "transport": "websocket",
        "workspace": follower.principal.workspace,
        "actor": follower.principal.username,
        "code": close.code if close else None,
        "seq": follower.position,
        "seconds": round(monotonic() - follower.born, 3),
    }
    logger.info("stream_ended", extra=fields)


class Listener:
    """Answers what one client says."""

    def __init__(self, home: Hub, follower: Follower, receive: Receive) -> None:
        self._hub, self._follower, self._receive = home, follower, receive
        self._rate = Rate(home.limits.messages_per_second)

    async def listen(self) -> None:
        """Answer until the client goes or breaks a rule."""
        try:
            while not self._follower.is_over:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    self._follower.end(None)
                    return
                await self._answer(message.get("text"), message.get("bytes"))
        except Exception:
            logger.exception("stream_listener_failed")
            self._follower.end(BROKEN)

    async def _answer(self, text: str | None, data: bytes | None) -> None:
        if self._rate.exceeded(monotonic()):
            self._follower.end(TOO_MANY_MESSAGES)
            return
        if len(text or data or "") > self._hub.limits.frame_bytes:
            self._follower.end(TOO_BIG)
            return
        match read_text(text) if text is not None else read_binary():
            case Answer(frame):
                self._follower.send(frame)
            case Subscribe(wanted):
                self._follower.wanted = wanted
                self._hub.show_head(self._follower)
            case Renew(ticket):
                await self._renew(ticket)

    async def _renew(self, ticket: str) -> None:
        """Go on as whoever the ticket was made for, in the same workspace."""
        follower = self._follower
        try:
            principal = await in_thread(authenticate, Credentials(ticket=ticket))
        except (Refused, DatabaseError):
            follower.send(error("bad_ticket", "The ticket is unknown, used or too old."))
            return
        if principal.workspace_id != follower.principal.workspace_id:
            follower.send(error("other_workspace", "The ticket is for another workspace."))
            return
        follower.principal = principal
        follower.send(Frame({"type": "authenticated", "workspace": principal.workspace}))
