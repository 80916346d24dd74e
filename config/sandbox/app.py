"""The ASGI program: control paths (`/received`, `/secrets`) and behaviours, which are recorded.

GET /received?after=N&limit=   what came, oldest first      DELETE /received   forget it
GET /secrets                   how many are known
PUT /secrets                   replace the known secrets, a JSON list of `whsec_…`, `whpk_…`
POST /secrets                  add to them
"""

import time
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import orjson

from config.sandbox.behaviours import BEHAVIOURS
from config.sandbox.received import Received, ReceivedLog
from config.sandbox.request import (
    Answer,
    Receive,
    Refused,
    Request,
    Send,
    json_answer,
    read_request,
    send_answer,
)
from tasks_app.security.signing import BadSecret, BadSignature, check_secret, verify

DEFAULT_PAGE: Final = 1_000
MAX_PAGE: Final = 10_000
MAX_SECRETS: Final = 10_000


class Sandbox:
    """One receiver with its own memory."""

    def __init__(self, *, secrets: Iterable[str] = (), log: ReceivedLog | None = None) -> None:
        self._log = log or ReceivedLog()
        self._secrets = _checked(list(secrets))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the sandbox speaks HTTP, not {scope['type']}")
        try:
            request = await read_request(scope, receive)
            answer = await self._answer(request)
        except Refused as refused:
            answer = json_answer({"error": refused.detail}, status=refused.status)
        except ConnectionAbortedError:
            return
        await send_answer(answer, send)

    async def _answer(self, request: Request) -> Answer:
        name, _, argument = request.path.removeprefix("/").partition("/")
        if name == "received":
            return self._received(request)
        if name == "secrets":
            return self._known_secrets(request)
        behaviour = BEHAVIOURS.get(name)
        if behaviour is None:
            return self._index(request)
        entry = self._record(request)
        try:
            answer = await behaviour(request, argument)
        except Refused as refused:
            entry.status = refused.status
            raise
        entry.status = answer.status
        return answer

    def _record(self, request: Request) -> Received:
        headers = request.headers
        now = time.time()
        return self._log.add(
            at=now,
            method=request.method,
            path=request.path,
            webhook_id=headers.get("webhook-id", ""),
            attempt=headers.get("webhook-attempt", ""),
            sequence=headers.get("webhook-sequence", ""),
            signature=self._signature(request, now),
            body=request.body,
        )

    def _signature(self, request: Request, now: float) -> str:
        if "webhook-signature" not in request.headers:
            return "missing"
        if not self._secrets:
            return "unknown"
        try:
            verify(secrets=self._secrets, headers=request.headers, body=request.body, now=now)
        except BadSignature:
            return "invalid"
        return "valid"

    def _index(self, request: Request) -> Answer:
        known = {"paths": [f"/{name}" for name in (*BEHAVIOURS, "received", "secrets")]}
        return json_answer(known, status=200 if request.path == "/" else 404)

    def _received(self, request: Request) -> Answer:
        if request.method == "DELETE":
            self._log.clear()
            return Answer(status=204)
        if request.method != "GET":
            raise Refused(405, "GET lists, DELETE clears")
        after = _whole(request, "after", default=0)
        limit = min(_whole(request, "limit", default=DEFAULT_PAGE), MAX_PAGE)
        page = [entry.as_json() for entry in self._log.after(after, limit=limit)]
        return json_answer(
            {
                "received": page,
                "kept": len(self._log),
                "first": self._log.first,
                "last": self._log.last,
            }
        )

    def _known_secrets(self, request: Request) -> Answer:
        if request.method in ("PUT", "POST"):
            given = _secrets(request.body)
            old = self._secrets if request.method == "POST" else []
            self._secrets = list(dict.fromkeys([*given, *old]))[:MAX_SECRETS]
        elif request.method != "GET":
            raise Refused(405, "PUT replaces, POST adds")
        return json_answer({"secrets": len(self._secrets)})


def _whole(request: Request, name: str, *, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, f"{name} is a whole number")
    return int(text)


def _secrets(body: bytes) -> list[str]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Refused(400, "the body is a JSON list of whsec_ secrets and whpk_ keys")
    try:
        return _checked(given)
    except BadSecret as bad:
        raise Refused(400, str(bad)) from bad


def _checked(secrets: list[str]) -> list[str]:
    for secret in secrets:
        check_secret(secret)
    return secrets
