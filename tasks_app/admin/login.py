"""Guessed passwords: whose failure counts where, and what is answered to who has to wait."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tasks_app.security.client_address import client_address

NAME_MOST: Final = 150


def address_of(request: HttpRequest) -> str | None:
    """Return the address that a failure counts for; an IPv6 site counts as one."""
    address = client_address(request.META).partition("/")[0]
    return None if address == "unknown" else address


def name_of(request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """Return the name that a failure counts for; none that is kept is longer (150 characters)."""
    name = credentials.get("username") if credentials else request.POST.get("username")
    return str(name)[:NAME_MOST] if name else None


def told_to_wait(request: HttpRequest, _response: HttpResponse, _credentials: Any) -> HttpResponse:
    """Answer who has failed too often, also with the right password (AXES_LOCKOUT_CALLABLE)."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    context = {"minutes": seconds // 60, "failures": settings.AXES_FAILURE_LIMIT}
    answer = render(request, "admin/wait.html", context, status=429)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "no-store"
    return answer
