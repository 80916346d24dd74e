"""The admin as a person uses it: forms are sent as their page was, but for what is typed."""

from html.parser import HTMLParser
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks_app.models import Role, Workspace
from tests.support import factories


def logged_in(user: User) -> Client:
    """Return a browser in which a user has logged in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def staff(of: Workspace, role: str = Role.MEMBER) -> Client:
    """Return the browser of a member of the staff who is a member of one workspace."""
    user = factories.member(of, role=role).user
    user.is_staff = True
    user.save()
    return logged_in(user)


def address(model: Any, page: str, *args: Any) -> str:
    """Return where a page of a model is."""
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


class Form(HTMLParser):
    """The fields of a page's forms as a browser would send them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._area = self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "input" and given.get("type") not in {"submit", "button"}:
            if given.get("type") not in {"checkbox", "radio"} or "checked" in given:
                self._put(name, given.get("value", "on" if "checked" in given else ""))
        elif tag == "textarea":
            self._area, self.fields[name] = name, [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self._put(self._select, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            text = self.fields[self._area][0].removeprefix("\r\n").removeprefix("\n")
            self.fields[self._area] = [text.replace("\n", "\r\n")]  # as browsers send it
            self._area = ""
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area][0] += data

    def _put(self, name: str, value: str) -> None:
        if name:
            self.fields.setdefault(name, []).append(value)


def filled(client: Client, page: str, /, **typed: Any) -> dict[str, Any]:
    """Return what a browser would send after this was typed into the page's form."""
    fields = Form(client.get(page).content.decode()).fields
    return {**{name: values for name, values in fields.items() if name != "q"}, **typed}


def texts(answer: Any) -> list[str]:
    """Return the messages that the answer, or the page it leads to, shows."""
    return [str(message) for message in answer.context["messages"]]


def do(client: Client, model: Any, action: str, *rows: Any, **more: Any) -> Any:
    """Tick rows of a list and press an action; return the page that follows."""
    ticked = {"_selected_action": [str(row.pk) for row in rows], "action": action, "index": "0"}
    return client.post(address(model, "changelist"), {**ticked, **more}, follow=True)
