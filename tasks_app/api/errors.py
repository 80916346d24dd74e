"""Every refusal as `application/problem+json` (RFC 9457), from one table.

`type` ends in a stable code. For validation there is `errors`: each has a `pointer` (RFC 6901) into
the body, or the query parameter with a leading `?`, a stable code and a sentence.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import orjson
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from tasks_app.api.json_input import escaped
from tasks_app.exceptions import FieldError, Refusal

MEDIA_TYPE: Final = "application/problem+json"
REALM: Final = 'Bearer realm="aftercommit"'
ERRORS_SHOWN: Final = 100

CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    414: "address_too_long",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal",
    503: "unavailable",
}

logger = logging.getLogger(__name__)


def problem(
    *,
    status: int,
    instance: str,
    code: str = "",
    detail: str = "",
    errors: Iterable[FieldError] = (),
) -> dict[str, Any]:
    """Return a problem's members (RFC 9457 §3.1); of many errors the first 100, and the count."""
    rest = iter(errors)
    listed = [
        {"pointer": e.pointer, "code": e.code, "detail": e.detail}
        for e in islice(rest, ERRORS_SHOWN)
    ]
    more = sum(1 for _ in rest)
    told = detail or HTTPStatus(status).description
    made: dict[str, Any] = {
        "type": f"/problems/{code or CODES.get(status, 'refused')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": f"{told} There are {more:,} more errors." if more else told,
        "instance": instance,
    }
    if listed:
        made["errors"] = listed
    return made


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an exception of a view; None for what nobody foresaw, which becomes a bare 500."""
    refusal = _understood(exc)
    if refusal is None:
        return None
    status, code, detail, errors, headers = refusal
    body = problem(
        status=status, code=code, detail=detail, errors=errors, instance=context["request"].path
    )
    body |= getattr(exc, "members", {})
    page = getattr(context["request"], "accepted_media_type", "") == "text/html"
    media_type = None if page else MEDIA_TYPE
    return Response(body, status=status, headers=headers, content_type=media_type)


Understood = tuple[int, str, str, Iterable[FieldError], dict[str, str]]


def _understood(exc: Exception) -> Understood | None:
    match exc:
        case Refusal():
            return exc.status, exc.code, exc.detail, exc.errors, exc.headers
        case exceptions.ValidationError():
            return 400, "invalid", "The input is not valid.", flat(exc.detail), {}
        case exceptions.APIException():
            code = CODES.get(exc.status_code, "refused")
            return exc.status_code, code, _sentence(exc), (), _headers(exc)
        case Http404():
            return 404, "not_found", "There is no such thing in this workspace.", (), {}
        case PermissionDenied():
            return 403, "forbidden", "", (), {}
        case RequestDataTooBig():
            return 413, "too_large", "The body is larger than the limit.", (), {}
        case OperationalError() | InterfaceError() | InternalError():  # the last: see 25P03
            logger.warning("database_unavailable", exc_info=exc)
            detail = "The database does not answer; nothing is known to have been written."
            return 503, "unavailable", detail, (), {"Retry-After": "1"}
    return None


def _sentence(exc: exceptions.APIException) -> str:
    return exc.detail if isinstance(exc.detail, str) else ""


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers: dict[str, str] = {}
    if exc.status_code == 401:
        invalid = isinstance(exc, exceptions.AuthenticationFailed)
        headers["WWW-Authenticate"] = REALM + (', error="invalid_token"' if invalid else "")
    if getattr(exc, "wait", None):
        headers["Retry-After"] = str(getattr(exc, "wait", 1))
    return headers


def flat(detail: Any, pointer: str = "") -> Iterator[FieldError]:
    """Walk a serializer's errors, however deep, and give each its pointer."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            at_field = name != api_settings.NON_FIELD_ERRORS_KEY
            yield from flat(inner, f"{pointer}/{escaped(str(name))}" if at_field else pointer)
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from flat(inner, pointer)
    else:
        yield FieldError(pointer, getattr(detail, "code", None) or "invalid", str(detail))


def plain_problem(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    """Answer outside a view of the API: unknown routes, what nobody foresaw."""
    body = problem(status=status, detail=detail, instance=request.path)
    return HttpResponse(orjson.dumps(body), status=status, content_type=MEDIA_TYPE)


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Answer a refusal in a view that is not of the API."""
    body = problem(
        status=refusal.status, code=refusal.code, detail=refusal.detail, instance=request.path
    )
    return HttpResponse(
        orjson.dumps(body | refusal.members),
        status=refusal.status,
        headers=refusal.headers,
        content_type=MEDIA_TYPE,
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: also a Host that is not ours, and a form beyond all bounds."""
    if isinstance(exception, DisallowedHost):
        return plain_problem(request, 400, "This server does not answer to that Host.")
    if isinstance(exception, RequestDataTooBig):
        return plain_problem(request, 413, "The body is larger than the limit.")
    return plain_problem(request, 400, "The request is not valid.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    return plain_problem(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    return plain_problem(request, 404, "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: says nothing of what went wrong; the log has it, by request id."""
    return plain_problem(request, 500, "Something went wrong here; it has been logged.")
