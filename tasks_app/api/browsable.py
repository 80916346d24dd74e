"""The API as pages, for people who are logged in: each answer with what may be sent in return.

Only who asks for HTML gets it; programs get JSON. The pages work without a script.
"""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

import orjson
from django.contrib.auth.models import AnonymousUser, User
from django.template import loader
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request, override_method

from tasks_app.api.html_form import Input, inputs
from tasks_app.queries.principal import principals_of_user

WITH_BODY: Final = ("POST", "PUT", "PATCH")
MOST_WORKSPACES: Final = 50


class Form(TypedDict):
    """One thing that may be sent: fields, a body, or nothing but the method."""

    method: str
    inputs: list[Input]
    body: str | None
    if_match: str


class Page(BrowsableAPIRenderer):
    """Django REST framework's idea, with a page and forms of our own."""

    template = "browsable/page.html"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page."""
        context = dict(renderer_context or {})
        request, view, response = context["request"], context["view"], context["response"]
        if not hasattr(request, "_user"):  # refused while finding out who asks: don't ask again
            request._not_authenticated()
        if response.status_code == 204:
            response.status_code = 200  # or no browser would show that it is done
        html: str = loader.get_template(self.template).render(
            {
                "title": view.get_view_name(),
                "about": view.get_view_description(),
                "status": f"{response.status_code} {response.reason_phrase}",
                "headers": sorted((k, v) for k, v in response.items() if k != "Content-Type"),
                "content": _pretty(data),
                "forms": self._forms(data, view, request),
                "crumbs": self.get_breadcrumbs(request),
                "person": request._request.person,
                "workspaces": _workspaces(request._request.person),
                "workspace": getattr(request.auth, "workspace", ""),
                "request": request,
            },
            request=request._request,
        )
        return html

    def _forms(self, data: Any, view: Any, request: Request) -> list[Form]:
        """Return what may be sent to this address, by the rights of who looks at it."""
        offered = [one for one in (*WITH_BODY, "DELETE") if self._may(view, one, request)]
        by_field = getattr(view, "form", None)
        forms: list[Form] = []
        for method in offered:
            if by_field is not None and method in {"POST", "PATCH"}:
                fields = list(inputs(by_field, _shown(data), **_again(data, method, request)))
                forms.append(_form(method, data, inputs=fields))
            if method in WITH_BODY:
                forms.append(_form(method, data, body=_body(data, method, request)))
        return forms + [_form(method, data) for method in offered if method == "DELETE"]

    def _may(self, view: Any, method: str, request: Request) -> bool:
        with override_method(view, request, method) as asked:
            return bool(self.show_form_for_method(view, method, asked, None))


def _form(
    method: str, data: Any, *, inputs: list[Input] | None = None, body: str | None = None
) -> Form:
    version = _shown(data).get("version")
    if_match = f'"{version}"' if version and method != "POST" else ""
    return Form(method=method, inputs=inputs or [], body=body, if_match=if_match)


def _shown(data: Any) -> Mapping[str, Any]:
    """Return the one resource that an answer shows, if it does."""
    return data if isinstance(data, dict) and "id" in data else {}


def _again(data: Any, method: str, request: Request) -> dict[str, Any]:
    """Return what was typed and what was wrong with it, where a form has been refused."""
    typed = getattr(request._request, "typed", None)
    problems = data.get("errors") if isinstance(data, dict) else None
    if typed is None or "_content" in typed or request.method != method or _shown(data):
        return {}
    wrong = {
        one["pointer"].split("/")[1]: one["detail"] for one in problems or () if one["pointer"]
    }
    return {"typed": typed, "errors": wrong}


def _body(data: Any, method: str, request: Request) -> str:
    typed = getattr(request._request, "typed", None) or {}
    if request.method == method and "_content" in typed and not _shown(data):
        return str(typed["_content"])
    return "" if method == "POST" else _pretty(_shown(data))


def _pretty(data: Any) -> str:
    return "" if data is None else orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()


def _workspaces(person: User | AnonymousUser) -> list[str]:
    """Return where somebody who is logged in may go."""
    if person.pk is None:
        return []
    found = principals_of_user(user_id=person.pk, at_most=MOST_WORKSPACES)
    return [principal.workspace for principal in found]
