"""`Idempotency-Key` on every call that writes (draft-ietf-httpapi-idempotency-key-header-07).

The first answer is made, rendered and kept inside one transaction with what it tells of; whoever
repeats the request with the same key gets the same bytes, and `Idempotent-Replayed: true`.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

import orjson
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tasks_app.actions.idempotency import Answer, Claim, answer_once
from tasks_app.api.auth import principal_of
from tasks_app.exceptions import Invalid, SecretShownOnce

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
KEY_MAX: Final = 255
KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location", "Stream-Cursor")

_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_PLAIN: Final = re.compile(r"[\x21\x23-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

Handler = Callable[..., Response]


def idempotency_key(request: Request) -> str | None:
    """Return the key that a writing request names, or None.

    A Structured Field String (RFC 9651 §3.3.3), or the same without its quotes. Raises Invalid
    where it is empty, longer than 255 characters or has others than printable ASCII.
    """
    given = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if given is None or request.method in READS:
        return None
    text = given.strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = text if _PLAIN.fullmatch(text) else ""
    if not 0 < len(key) <= KEY_MAX:
        raise Invalid(f"Idempotency-Key must be 1 to {KEY_MAX} printable ASCII characters.")
    return key


def answered_once(
    view: APIView,
    handler: Handler,
    *,
    key: str,
    shows_secret: bool,
    fingerprint: Callable[[Request], bytes] | None = None,
) -> Callable[..., HttpResponse]:
    """Wrap a view's handler, so that it runs once for this key.

    ``fingerprint`` tells one request from another where the body is no JSON.
    The handler raises KeyInUse, KeyReused, and SecretShownOnce for the repeat of what can't be
    answered again.
    """

    def handle(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        made: list[Response] = []

        def work() -> Answer:
            response = handler(request, *args, **kwargs)
            response = view.finalize_response(request, response, *args, **kwargs)
            made.append(response)
            return _rendered(response, shows_secret=shows_secret)

        claim = _claim(request, key, (fingerprint or _fingerprint)(request))
        kept = answer_once(claim=claim, work=work)
        return made[0] if kept is None else _replayed(kept)

    return handle


def _claim(request: Request, key: str, fingerprint: bytes) -> Claim:
    who = principal_of(request)
    owner = f"key:{who.api_key_id}" if who.api_key_id else f"user:{who.user_id}"
    return Claim(workspace_id=who.workspace_id, owner=owner, key=key, fingerprint=fingerprint)


def _fingerprint(request: Request) -> bytes:
    """Tell one request from another: by its meaning, so that the order of members is free."""
    body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    head = f"{request.method} {request.path}\n".encode("utf-8", "surrogateescape")
    return hashlib.sha256(head + body).digest()


def _rendered(response: Response, *, shows_secret: bool) -> Answer:
    response.render()
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    body = None if shows_secret else response.content
    return Answer(status=response.status_code, headers=headers, body=body)


def _replayed(kept: Answer) -> HttpResponse:
    if kept.body is None:
        raise SecretShownOnce(location=kept.headers.get("Location"))
    response = HttpResponse(kept.body, status=kept.status, headers=dict(kept.headers))
    if "Content-Type" not in kept.headers:
        del response.headers["Content-Type"]
    response.headers["Idempotent-Replayed"] = "true"
    return response
