"""Around every request: its id, one log line, CORS, and redirects that keep the method."""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.utils.cache import patch_vary_headers

from tasks_app.observability import request_id
from tasks_app.observability.metrics import count_request
from tasks_app.queries.principal import Principal
from tasks_app.security.cors import cors_headers, preflight_headers

Answer = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger("tasks_app.request")

# Asked every few seconds: a line only when they fail.
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestIdMiddleware:
    """Gives every request an id, the caller's where it is sane, and answers with it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with the id in reach of every log line and event meanwhile."""
        given = request_id.accept(request.META.get("HTTP_X_REQUEST_ID"))
        token = request_id.current.set(given)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = given
            return response
        finally:
            request_id.current.reset(token)


class RequestLogMiddleware:
    """Writes one line a request. Never the query: it may hold a ticket or a search."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then tell."""
        began = time.perf_counter()
        response = self.get_response(request)
        if request.path in QUIET and response.status_code < 400:
            return response
        match = request.resolver_match
        count_request(
            method=request.method or "",
            route=match.route if match else "",
            status=response.status_code,
            seconds=time.perf_counter() - began,
        )
        principal: Principal | None = getattr(request, "principal", None)
        logger.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - began) * 1000, 2),
                "workspace": principal.workspace if principal else None,
                "actor": principal.username if principal else None,
            },
        )
        return response


class CorsMiddleware:
    """Lets the origins of CORS_ALLOWED_ORIGINS, and no others, use the API from a browser."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a preflight here, all else with the headers that belong to its origin."""
        if not request.path.startswith("/api/"):
            return self.get_response(request)
        origin = request.META.get("HTTP_ORIGIN", "")
        allowed = settings.CORS_ALLOWED_ORIGINS
        preflight = (
            request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META
        )
        if preflight:
            response: HttpResponseBase = HttpResponse(status=204)
            headers = preflight_headers(origin, allowed=allowed)
        else:
            response = self.get_response(request)
            headers = cors_headers(origin, allowed=allowed)
            response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, [headers.pop("Vary")])
        for name, value in headers.items():
            response[name] = value
        return response


class PermanentRedirect(HttpResponsePermanentRedirect):
    """308 (RFC 9110 §15.4.9): a POST without its last slash stays a POST."""

    status_code = 308


class SlashMiddleware(CommonMiddleware):
    """Django's CommonMiddleware, whose redirects keep method and body."""

    response_redirect_class = PermanentRedirect
