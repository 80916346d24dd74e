"""The site itself: who enters, and what is answered where a page of Django's own would break."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse

Page = Callable[..., HttpResponseBase]


class Site(admin.AdminSite):
    """Staff only; problems are told as pages, for people read them."""

    site_header = "Aftercommit"
    site_title = "Aftercommit"
    index_title = "Administration"
    site_url = "/api/docs/"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a view of the admin: refusals of the whole page become pages."""
        inner = super().admin_view(view, cacheable)

        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                _refuse_nul(request, kwargs)
                answer: HttpResponseBase = inner(request, *args, **kwargs)
                # Here and not later: what the page still asks the database may fail too.
                return answer.render() if isinstance(answer, TemplateResponse) else answer
            except _Unstorable:
                return self._told(request, 400, "Text must not contain NUL characters.")
            except ValidationError:  # of a query: an id that is none
                return self._told(request, 400, "What is named here is no id.")
            except PermissionDenied:
                return self._told(request, 403, "Your role does not allow this.")
            except (OperationalError, InterfaceError, InternalError):
                return self._told(
                    request,
                    503,
                    "The database did not answer in time; nothing is known to have been written.",
                )

        return answered

    def _told(self, request: HttpRequest, status: int, detail: str) -> HttpResponse:
        context = {"title": "This did not work", "detail": detail, "site_header": self.site_header}
        return render(request, "admin/refused.html", context, status=status)


class _Unstorable(Exception):
    """PostgreSQL's texts have no NUL."""


def _refuse_nul(request: HttpRequest, kwargs: dict[str, Any]) -> None:
    given = [value for _, values in request.GET.lists() for value in values]
    if any("\0" in value for value in given) or "\0" in (kwargs.get("object_id") or ""):
        raise _Unstorable


site = Site()
