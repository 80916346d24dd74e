"""Server-sent events at /api/v1/events/stream (WHATWG HTML §9.2): the same stream, one way.

Every message is an unnamed event with the JSON that a WebSocket would get, its id the cursor to
resume from; `bye` alone is named, so that a client can tell an end from a cut.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from time import monotonic

from django.conf import settings
from django.db import Error as DatabaseError

from realtime.admission import admit
from realtime.asgi_types import Receive, Scope, Send, header
from realtime.auth import Refused
from realtime.backpressure import Line, line_to
from realtime.close_codes import BAD_CREDENTIALS, GOING_AWAY, Close
from realtime.cursor import BadCursor, Cursor, Head, parse_cursor
from realtime.database import in_thread
from realtime.filter import BadFilter, Filter
from realtime.follower import Follower
from realtime.frames import Frame
from realtime.handshake import credentials_of, filter_of, query_of
from realtime.hub import Hub, hub
from realtime.origin import is_allowed
from realtime.problems import Headers, send_problem
from tasks_app.observability import request_id
from tasks_app.queries.principal import Principal

logger = logging.getLogger(__name__)
BYE_SECONDS = 3.0  # for the last bytes to leave


class Problem(Exception):
    """An answer instead of a stream."""

    def __init__(self, status: int, code: str, detail: str, headers: Headers | None = None) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.headers = headers or []
        super().__init__(detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request asks for, once it is allowed."""

    principal: Principal
    head: Head
    cursor: Cursor | None
    wanted: Filter | None


async def follow_by_sse(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one event stream, or a problem document."""
    headers = [(b"x-request-id", request_id.accept(header(scope, b"x-request-id")).encode())]
    headers += _cors(scope)
    if scope["method"] == "OPTIONS":
        await _answer_preflight(send, headers)
        return
    home = hub()
    try:
        wish = await _understand(scope, home)
    except Problem as problem:
        if problem.status == 503 and _is_event_source(scope):
            await _send_away(send, headers)
            return
        found = [*headers, *problem.headers]
        await send_problem(scope, send, problem.status, problem.code, problem.detail, found)
        return
    await _start(send, headers)
    await _follow(home, wish, line_to(scope, send, "http"), receive, send)


async def _understand(scope: Scope, home: Hub) -> Wish:
    """Check the request; raises Problem."""
    if scope["method"] != "GET":
        raise Problem(405, "method_not_allowed", "Only GET.", [(b"allow", b"GET, OPTIONS")])
    origin = header(scope, b"origin")
    if origin is not None and not _origin_holds(scope, origin):
        raise Problem(403, "forbidden", "Pages of this origin may not follow.")
    if home.draining:
        raise Problem(503, "going_away", "This server is going away.", [(b"retry-after", b"1")])
    try:
        wanted, cursor = filter_of(scope), _cursor(scope)
    except (BadFilter, BadCursor) as problem:
        raise Problem(400, "invalid", str(problem)) from problem
    principal, head = await _admit(scope)
    return Wish(principal=principal, head=head, cursor=cursor, wanted=wanted)


async def _admit(scope: Scope) -> tuple[Principal, Head]:
    try:
        return await in_thread(admit, credentials_of(scope, tickets=False))
    except Refused as refused:
        raise _refusal(refused.close) from refused
    except DatabaseError as problem:
        logger.warning("stream_admission_failed", exc_info=True)
        retry: Headers = [(b"retry-after", b"2")]
        raise Problem(503, "unavailable", "The database does not answer.", retry) from problem


def _refusal(close: Close) -> Problem:
    if close == BAD_CREDENTIALS:
        return Problem(401, "unauthenticated", close.reason, [(b"www-authenticate", b"Bearer")])
    return Problem(404, "not_found", close.reason)


def _origin_holds(scope: Scope, origin: str) -> bool:
    return is_allowed(origin, host=header(scope, b"host"), also=settings.CORS_ALLOWED_ORIGINS)


def _cursor(scope: Scope) -> Cursor | None:
    """A browser that reconnects repeats the old query, so its Last-Event-ID is the newer word."""
    text = header(scope, b"last-event-id") or query_of(scope).get("after", [None])[0]
    return parse_cursor(text) if text is not None else None


def _cors(scope: Scope) -> Headers:
    headers: Headers = [(b"vary", b"Origin")]
    origin = header(scope, b"origin")
    if origin is not None and origin in settings.CORS_ALLOWED_ORIGINS:
        headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
        headers.append((b"access-control-expose-headers", b"X-Request-ID"))
    return headers


async def _answer_preflight(send: Send, headers: Headers) -> None:
    asked = b"authorization, last-event-id, x-workspace, x-request-id"
    headers = [
        *headers,
        (b"access-control-allow-methods", b"GET"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"600"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, headers: Headers) -> None:
    fixed: Headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": [*fixed, *headers]})
    # Spread reconnects: each client waits a time of its own.
    retry = f"retry: {random.randint(1000, 3000)}\n\n".encode()  # noqa: S311
    await send({"type": "http.response.body", "body": retry, "more_body": True})


async def _follow(home: Hub, wish: Wish, line: Line, receive: Receive, send: Send) -> None:
    follower = Follower(
        line=line,
        principal=wish.principal,
        limits=home.limits,
        wanted=wish.wanted,
        always_shows_head=True,
    )
    home.enter(follower, head=wish.head, cursor=wish.cursor)
    try:
        close = await _until_over(follower, receive)
    finally:
        home.leave(follower)
    if close is not None:
        await _say_bye(line, send, close)
    await line.finish()
    _log(follower, close)


async def _until_over(follower: Follower, receive: Receive) -> Close | None:
    watching = asyncio.create_task(_watch(follower, receive))
    try:
        return await follower.over
    finally:
        follower.end(None)
        watching.cancel()


async def _watch(follower: Follower, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.end(None)


def _is_event_source(scope: Scope) -> bool:
    return "text/event-stream" in (header(scope, b"accept") or "")


async def _send_away(send: Send, headers: Headers) -> None:
    """Say 4001 in a stream, as a browser's EventSource never comes back after any other status."""
    await _start(send, headers)
    await send({"type": "http.response.body", "body": _bye(GOING_AWAY).event_stream})


def _bye(close: Close) -> Frame:
    return Frame({"type": "bye", "code": close.code, "reason": close.reason}, name="bye")


async def _say_bye(line: Line, send: Send, close: Close) -> None:
    """Send the last event; a client that does not even take that is cut off."""
    line.write(_bye(close))
    try:
        async with asyncio.timeout(BYE_SECONDS):
            await line.drained()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (TimeoutError, OSError):
        line.abort()
        await line.drained()  # until the server has seen it, or it would call this our failure


def _log(follower: Follower, close: Close | None) -> None:
    fields = {
        "transport": "sse",
        "workspace": follower.principal.workspace,
        "actor": follower.principal.username,
        "code": close.code if close else None,
        "seq": follower.position,
        "seconds": round(monotonic() - follower.born, 3),
    }
    logger.info("stream_ended", extra=fields)
