"""The API in a browser: pages for who asks for HTML, forms that work without a script."""

import html
import re
from typing import Any

import pytest
from django.test import Client

from tasks_app.models import Role, Task, Workspace
from tests.support import factories
from tests.support.callers import caller

pytestmark = pytest.mark.django_db
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


class Person:
    """Somebody with a browser that checks forgery as a browser's server would, and no script."""

    def __init__(self, name: str = "alice") -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        token = self._token(self.client.get("/api/auth/login/").content.decode())
        form = {"username": name, "password": "password", "csrfmiddlewaretoken": token}
        assert self.client.post("/api/auth/login/", form).status_code == 302

    @staticmethod
    def _token(page: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found, page
        return found[1]

    def look(self, path: str, **headers: str) -> Any:
        """Open a page."""
        return self.client.get(f"/api/v1/{path}", headers={"Accept": BROWSER} | headers)

    def send(self, path: str, kind: str, **typed: str) -> Any:
        """Fill in the form of that kind that a page shows, and send it as a browser would."""
        page = self.look(path).content.decode()
        found = re.search(
            rf'<form method="post" action="([^"]*)" class="{kind}">(.*?)</form>', page, re.S
        )
        assert found, f"no form {kind!r}: {page}"
        filled = dict(fields(found[2])) | typed
        body = "&".join(f"{name}={quote(value)}" for name, value in filled.items())
        return self.client.post(
            html.unescape(found[1]),
            body,
            content_type="application/x-www-form-urlencoded",
            headers={"Accept": BROWSER},
        )


def quote(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def fields(form: str) -> list[tuple[str, str]]:
    """Return what a browser would send of a form as it is."""
    inputs = re.findall(r'<input [^>]*?name="(\w+)" value="([^"]*)"', form)
    areas = re.findall(r'<textarea name="(\w+)"[^>]*>\n?(.*?)</textarea>', form, re.S)
    choices = [
        (name, (re.findall(r"<option selected>(\w+)", options) or [""])[0])
        for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.S)
    ]
    return [(name, html.unescape(value)) for name, value in inputs + areas + choices]


def test_programs_get_json_and_only_who_asks_for_html_a_page(workspace: Workspace) -> None:
    api = caller(workspace)
    for accept in ("*/*", "", "application/json", "application/json, text/plain, */*"):
        given = {"Accept": accept} if accept else {}
        assert api.get("tasks/", **given).headers["Content-Type"] == "application/json"
    page = Person().look("tasks/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Accept" in page.headers["Vary"]


def test_a_task_is_created_and_changed_by_forms_without_a_script(workspace: Workspace) -> None:
    alice = Person()
    made = alice.send(
        "tasks/",
        "post fields",
        title="Déjà <b>vu</b> & more",
        description="two\r\nlines",
        priority="high",
        due_at="2027-01-31T12:00",
        labels="ops\r\n\r\n late ",
        metadata='{"a": [1]}',
    )
    assert made.status_code == 201, made.content.decode()
    task = Task.objects.get()
    assert (task.title, task.description) == ("Déjà <b>vu</b> & more", "two\nlines")
    assert (task.priority, task.labels, task.metadata) == ("high", ["ops", "late"], {"a": [1]})
    assert (task.due_at.isoformat() if task.due_at else "") == "2027-01-31T12:00:00+00:00"
    assert task.external_id is None
    assert "<b>vu</b>" not in made.content.decode()
    changed = alice.send(f"tasks/{task.pk}/", "patch fields", status="done", labels="")
    assert changed.status_code == 200, changed.content.decode()
    task.refresh_from_db()
    assert (task.status, task.labels, task.version) == ("done", [], 2)
    assert (task.title, task.description) == ("Déjà <b>vu</b> & more", "two\nlines")
    assert [event.type for event in factories.log(workspace)] == ["task_created", "task_updated"]


def test_a_form_sent_unchanged_changes_nothing(workspace: Workspace) -> None:
    fields = {"title": "x", "due_at": "2027-01-31T12:00:05Z", "metadata": {"a": {"b": None}}}
    made = caller(workspace).post("tasks/", fields).body
    assert Person().send(f"tasks/{made['id']}/", "patch fields").status_code == 200
    assert Task.objects.get().version == 1


def test_a_form_filled_in_for_an_older_version_is_refused(workspace: Workspace) -> None:
    made = caller(workspace).post("tasks/", {"title": "x"}).body
    alice = Person()
    stale = alice.send(f"tasks/{made['id']}/", "patch fields", title="mine", _if_match='"7"')
    assert stale.status_code == 412
    assert Task.objects.get().title == "x"


def test_a_refused_form_is_shown_again_with_what_was_typed_and_what_is_wrong(
    workspace: Workspace,
) -> None:
    answer = Person().send("tasks/", "post fields", title=" ", metadata="{", assignee="bob")
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert page.count('role="alert"') == 2
    assert dict(fields(page))["assignee"] == "bob"
    assert not Task.objects.exists()


def test_whatever_has_no_fields_takes_a_body(workspace: Workspace) -> None:
    body = '{"name": "Here", "url": "http://127.0.0.1:9/"}'
    alice = Person()
    made = alice.send("destinations/", "post body", _content=body)
    assert made.status_code == 201, made.content.decode()
    assert alice.send("destinations/", "post body", _content="{").status_code == 400


def test_deleting_is_a_form_too(workspace: Workspace) -> None:
    made = caller(workspace).post("tasks/", {"title": "x"}).body
    gone = Person().send(f"tasks/{made['id']}/", "delete ")
    assert gone.status_code == 200  # a 204 would leave the browser where it was
    assert not Task.objects.exists()


def test_without_its_token_a_form_does_nothing(workspace: Workspace) -> None:
    alice = Person()
    for method in ("POST", "PATCH", "DELETE"):
        forged = alice.client.post(
            "/api/v1/tasks/",
            f"title=forged&_method={method}",
            content_type="application/x-www-form-urlencoded",
            headers={"Accept": BROWSER},
        )
        assert forged.status_code == 403
    assert not Task.objects.exists()


def test_a_key_sends_json_or_hears_so(workspace: Workspace) -> None:
    api = caller(workspace)
    form = "application/x-www-form-urlencoded"
    assert api.call("POST", "tasks/", raw=b"title=x", content_type=form).status == 415
    api.client.force_login(factories.user("alice"))
    assert api.call("POST", "tasks/", raw=b"title=x", content_type=form).status == 415


def test_forms_are_offered_by_right(workspace: Workspace) -> None:
    factories.member(workspace, role=Role.VIEWER, name="vera")
    made = caller(workspace).post("tasks/", {"title": "x"}).body
    for path in ("tasks/", f"tasks/{made['id']}/"):
        assert "_method" not in Person("vera").look(path).content.decode()
        assert "_method" in Person().look(path).content.decode()


def test_who_is_not_logged_in_is_shown_the_way(workspace: Workspace) -> None:
    page = Client().get("/api/v1/tasks/?status=open", headers={"Accept": BROWSER})
    assert page.status_code == 401
    assert "/api/auth/login/?next=/api/v1/tasks/%3Fstatus%3Dopen" in page.content.decode()


def test_in_several_workspaces_one_is_chosen_and_kept(workspace: Workspace) -> None:
    factories.workspace("other-one")
    alice = Person()
    unnamed = alice.look("tasks/")
    assert unnamed.status_code == 400
    for slug in (workspace.slug, "other-one"):
        assert f'href="?workspace={slug}"' in unnamed.content.decode()
    made = alice.send("tasks/?workspace=other-one", "post fields", title="there")
    assert made.status_code == 201
    assert Task.objects.get().workspace.slug == "other-one"


def test_a_page_asks_no_more_for_many_tasks_than_for_one(
    workspace: Workspace, django_assert_num_queries: Any
) -> None:
    api, alice = caller(workspace), Person()
    api.post("tasks/", {"title": "x"})
    for _ in range(2):
        with django_assert_num_queries(6):  # session, user, member, head, page, workspaces
            assert alice.look("tasks/").status_code == 200
        for _ in range(20):
            api.post("tasks/", {"title": "x"})


def test_refusals_are_pages_as_well(workspace: Workspace) -> None:
    alice = Person()
    for path, status in (("tasks/?limit=0", 400), ("tasks/?workspace=none", 404)):
        page = alice.look(path)
        assert (page.status_code, page.headers["Content-Type"]) == (
            status,
            "text/html; charset=utf-8",
        )
