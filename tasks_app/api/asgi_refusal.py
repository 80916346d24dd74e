"""Refusals under ASGI that come before Django: the same problems, ids and log lines as after it."""

import logging
from http import HTTPStatus
from typing import Any

import orjson

from tasks_app.api.arriving import Scope, Send
from tasks_app.api.errors import MEDIA_TYPE, problem
from tasks_app.observability import request_id
from tasks_app.observability.metrics import count_request

logger = logging.getLogger("tasks_app.request")


async def refuse(scope: Scope, send: Send, status: HTTPStatus, detail: str, **headers: str) -> None:
    """Answer with a problem, and end the connection: nobody reads what else it brings."""
    given = request_id.accept(header(scope, b"x-request-id"))
    body = orjson.dumps(problem(status=status, detail=detail, instance=scope["path"]))
    told = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        "X-Request-ID": given,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    _tell(scope, status, given)
    raw = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": raw})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str:
    """Return a header's first value, or an empty text."""
    found: list[Any] = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if found else ""


def _tell(scope: Scope, status: int, given: str) -> None:
    token = request_id.current.set(given)
    try:
        count_request(method=scope["method"], route="", status=status, seconds=0.0)
        told = {"method": scope["method"], "path": scope["path"], "status": int(status)}
        logger.info("request", extra={**told, "duration_ms": 0.0, "workspace": None, "actor": None})
    finally:
        request_id.current.reset(token)
