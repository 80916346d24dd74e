"""Forms of the browsable API, turned into the requests that programs send, before any view.

A page without a script can only POST fields. So a logged-in user's form names its method
(`_method`), the version that it was filled in for (`_if_match`), and either the fields or a whole
body (`_content`); from here on it is a PUT, PATCH or DELETE with a JSON body like any other, and
whatever holds for those holds for it, the check against forgery (CSRF) included.
"""

from typing import Any, Final

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tasks_app.api.html_form import as_json
from tasks_app.api.middleware import Answer

FORM: Final = "application/x-www-form-urlencoded"
METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class FormMiddleware:
    """Leaves for the page whose login it is, and what a form held: ``person`` and ``typed``."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer. Django REST framework will put a principal in the user's place."""
        request.person = request.user  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Rewrite a form that a logged-in user sends to the API; leave all else alone."""
        if _is_form(request) and hasattr(view, "cls"):
            typed = request.POST.dict()
            method = str(typed.get("_method", "POST"))
            _rewrite(request, method, _body(view.cls, method, typed))
            request.typed = typed  # type: ignore[attr-defined]


def _is_form(request: HttpRequest) -> bool:
    """Tell whether it is one; a program with a key sends JSON, and hears so if it does not."""
    return (
        request.method == "POST"
        and request.content_type == FORM
        and settings.SESSION_COOKIE_NAME in request.COOKIES
        and "HTTP_AUTHORIZATION" not in request.META
    )


def _body(view: Any, method: str, typed: dict[str, str]) -> bytes:
    if method == "DELETE":
        return b""
    serializer = getattr(view, "form", None)
    if "_content" in typed or serializer is None:
        return typed.get("_content", "").encode("utf-8", "surrogatepass")
    return orjson.dumps(as_json(serializer, typed))


def _rewrite(request: HttpRequest, method: str, body: bytes) -> None:
    meta = request.META
    request.method = meta["REQUEST_METHOD"] = method if method in METHODS else "POST"
    request._body = body
    request.content_type = meta["CONTENT_TYPE"] = "application/json"
    request.content_params = {}
    meta["CONTENT_LENGTH"] = str(len(body))
    meta.setdefault(settings.CSRF_HEADER_NAME, request.POST.get("csrfmiddlewaretoken", ""))
    if if_match := request.POST.get("_if_match"):
        meta["HTTP_IF_MATCH"] = if_match
