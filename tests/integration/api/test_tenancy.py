"""Nothing of one workspace is visible from another; a role and a scope may do what they may."""

import re
import uuid
from typing import Any

import pytest

from tasks_app.api import urls
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.models import Delivery, Destination, Event, Role, Scope, Task, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller

pytestmark = pytest.mark.django_db

READS = [
    "tasks/",
    "tasks/{task}/",
    "tasks/{task}/events/",
    "events/",
    "destinations/",
    "destinations/{destination}/",
    "deliveries/",
    "deliveries/{delivery}/",
]
WRITES_TASKS: list[tuple[str, str, Any]] = [
    ("POST", "tasks/", {"title": "x"}),
    ("PUT", "tasks/{task}/", {"title": "x"}),
    ("PATCH", "tasks/{task}/", {"title": "x"}),
    ("DELETE", "tasks/{task}/", None),
]
MANAGES: list[tuple[str, str, Any]] = [
    ("POST", "destinations/", {"name": "new", "url": "http://127.0.0.1:9/"}),
    ("PATCH", "destinations/{destination}/", {"name": "other"}),
    ("POST", "destinations/{destination}/test/", None),
    ("POST", "destinations/{destination}/pause/", None),
    ("POST", "destinations/{destination}/resume/", None),
    ("POST", "destinations/{destination}/rotate-secret/", None),
    ("POST", "deliveries/{delivery}/cancel/", None),
    ("POST", "deliveries/{delivery}/retry/", None),
    ("DELETE", "destinations/{destination}/", None),
]


def test_a_workspace_made_by_hand_answers_like_any_other() -> None:
    """From a shell or the admin: there is no workspace without the head of its log."""
    made = Workspace.objects.create(slug="by-hand", name="By hand")
    made.save()
    somebody = caller(made)
    assert somebody.call("GET", "tasks/").status == 200
    assert somebody.call("POST", "tasks/", {"title": "first"}).body["number"] == 1


@pytest.fixture
def ids(workspace: Workspace, api: Caller) -> dict[str, str]:
    """Fill Alice's workspace; return the ids of what is in it."""
    destination = factories.destination(workspace)
    task = api.post("tasks/", {"title": "Alice's"}).body["id"]
    delivery = Delivery.objects.get(destination=destination)
    return {"task": task, "destination": str(destination.pk), "delivery": str(delivery.pk)}


def state() -> list[Any]:
    tasks = Task.objects.order_by("pk").values_list("pk", "version", "title")
    destinations = Destination.objects.order_by("pk").values_list(
        "pk", "name", "state", "deleted_at", "sealed_secret"
    )
    deliveries = Delivery.objects.order_by("pk").values_list("pk", "state")
    return [list(tasks), list(destinations), list(deliveries), Event.objects.count()]


def test_a_stranger_finds_nothing(ids: dict[str, str]) -> None:
    charlie = caller(factories.workspace())
    before = state()
    for path in READS:
        answer = charlie.get(path.format(**ids))
        if "{" in path:
            assert answer.status == 404, path
        else:
            assert answer.body["results"] == [], path
    for method, path, body in WRITES_TASKS + MANAGES:
        if "{" in path:
            assert charlie.call(method, path.format(**ids), body).status == 404, path
    assert state() == before


def test_another_workspace_s_ids_filter_to_nothing(ids: dict[str, str]) -> None:
    charlie = caller(factories.workspace())
    for name in ("task", "destination"):
        assert charlie.get(f"deliveries/?{name}={ids[name]}").body["results"] == []


def test_what_does_not_exist_looks_the_same_as_what_is_another_s(ids: dict[str, str]) -> None:
    charlie = caller(factories.workspace())
    nobody = {name: str(uuid.uuid4()) for name in ids}
    for path in READS:
        if "{" not in path:
            continue
        theirs, none = charlie.get(path.format(**ids)), charlie.get(path.format(**nobody))
        assert theirs.body | {"instance": ""} == none.body | {"instance": ""}


def allowed(who: Caller, ids: dict[str, str], calls: list[tuple[str, str, Any]]) -> set[bool]:
    """Return whether calls were let through: a conflict of states is not a refusal of rights."""
    statuses = [who.call(m, path.format(**ids), body).status for m, path, body in calls]
    assert set(statuses) <= {200, 201, 202, 204, 403, 404, 409}, statuses
    return {status != 403 for status in statuses}


MATRIX = [
    (Role.VIEWER, Scope.ADMIN, False, False),
    (Role.MEMBER, Scope.ADMIN, True, False),
    (Role.ADMIN, Scope.ADMIN, True, True),
    (Role.OWNER, Scope.ADMIN, True, True),
    (Role.OWNER, Scope.WRITE, True, False),
    (Role.OWNER, Scope.READ, False, False),
    (Role.VIEWER, Scope.WRITE, False, False),
    (Role.ADMIN, Scope.READ, False, False),
]


@pytest.mark.parametrize(("role", "scope", "writes", "manages"), MATRIX)
def test_a_role_and_a_scope_may_do_what_both_allow(
    workspace: Workspace, ids: dict[str, str], role: str, scope: str, writes: bool, manages: bool
) -> None:
    who = caller(workspace, role=role, scope=scope)
    before = state()
    assert {who.get(path.format(**ids)).status for path in READS} == {200}
    assert who.post("stream/ticket/").status == 201
    assert allowed(who, ids, MANAGES) == {manages}
    assert allowed(who, ids, WRITES_TASKS) == {writes}
    if not (writes or manages):
        assert state() == before


def test_who_may_not_manage_destinations_sees_no_path_and_no_header(
    workspace: Workspace, ids: dict[str, str]
) -> None:
    secret = {"url": "https://example.org/t/TOKEN?k=1", "headers": {"X-Auth": "TOKEN"}}
    assert caller(workspace).patch(f"destinations/{ids['destination']}/", secret).status == 200
    viewer = caller(workspace, role=Role.VIEWER)
    for path in ("destinations/", "destinations/{destination}/", "events/", "deliveries/"):
        assert b"TOKEN" not in viewer.get(path.format(**ids)).raw
    assert caller(workspace).get("destinations/").body["results"][0]["headers"]["X-Auth"] == "TOKEN"


def views() -> list[tuple[str, Any]]:
    """Return every route below /api/v1/ with its view."""
    patterns: Any = urls.urlpatterns
    return [(str(p.pattern), p.callback) for p in patterns]


@pytest.mark.parametrize(("route", "view"), views())
def test_every_action_of_every_view_declares_its_capability(route: str, view: Any) -> None:
    assert issubclass(view.cls, WorkspaceView)
    assert set(view.actions.values()) <= view.cls.capabilities.keys()


@pytest.mark.parametrize(("route", "view"), views())
def test_without_credentials_every_route_is_refused(route: str, view: Any) -> None:
    path = route.replace("<uuid:", "<").replace("<", "{").replace(">", "}")
    nobody = str(uuid.uuid4())
    path = re.sub(r"{\w+}", nobody, path)
    for method in set(view.actions) - {"head"}:
        answer = Caller().call(method.upper(), path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="aftercommit"'
