"""Refusing an HTTP request before any stream begins: RFC 9457 problem documents."""

from http import HTTPStatus

import orjson

from realtime.asgi_types import Scope, Send

Headers = list[tuple[bytes, bytes]]


async def send_json(
    send: Send, status: int, body: object, headers: Headers, kind: bytes = b"application/json"
) -> None:
    """Send one whole JSON answer."""
    data = orjson.dumps(body)
    fixed = [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*fixed, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": data})


async def send_problem(
    scope: Scope, send: Send, status: int, code: str, detail: str, headers: Headers
) -> None:
    """Send one problem document."""
    problem = {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": scope["path"],
    }
    await send_json(send, status, problem, headers, b"application/problem+json")
