"""Who may come in: keys, logins, workspaces; and what those are told who may not."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tasks_app.api.permissions import WorkspacePermission
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.models import ApiKey, Membership, Role, Task, Workspace
from tests.support import factories
from tests.support.callers import Caller, api_key, caller

pytestmark = pytest.mark.django_db


def bearer(plain: str) -> Caller:
    return Caller({"Authorization": f"Bearer {plain}"})


@pytest.fixture
def alice(workspace: Workspace) -> Membership:
    return Membership.objects.get(workspace=workspace)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        "Bearer",
        "Bearer ",
        "Basic YWxpY2U6cGFzc3dvcmQ=",
        "Token abc",
        "ac_abc",
        "Bearer \xff\xfe",
        "Bearer a b",
        "Bearer " + "a" * 5000,
    ],
)
def test_a_wrong_authorization_is_401_and_says_which_scheme(header: str, db: None) -> None:
    answer = Caller({"Authorization": header}).get("tasks/")
    assert answer.status == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="aftercommit", error="invalid_token"'


def test_a_session_s_key_that_no_row_can_hold_is_nobody_s() -> None:
    assert Caller().get("tasks/", Cookie='sessionid="aaaaaaaa\\000b"').status == 401


def test_no_credentials_are_401_without_an_error(db: None) -> None:
    answer = Caller().get("tasks/")
    assert (answer.status, answer.body["type"]) == (401, "/problems/unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="aftercommit"'


def test_a_wrong_key_is_not_forgiven_for_the_sake_of_a_login(workspace: Workspace) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(factories.user("alice"))
    assert Caller({"Authorization": "Bearer nonsense"}, client).get("tasks/").status == 401


def test_the_scheme_s_case_does_not_matter(alice: Membership) -> None:
    plain, _ = api_key(alice)
    assert Caller({"Authorization": f"bEaReR {plain}"}).get("tasks/").status == 200


@pytest.mark.parametrize("end", ["expired", "revoked", "user_disabled", "member_removed"])
def test_a_key_that_has_ended_opens_nothing(alice: Membership, end: str) -> None:
    plain, key = api_key(alice, expires_at=timezone.now() + timedelta(minutes=1))
    assert bearer(plain).get("tasks/").status == 200
    if end == "expired":
        ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    elif end == "revoked":
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    elif end == "user_disabled":
        type(alice.user).objects.filter(pk=alice.user_id).update(is_active=False)
    else:
        factories.member(alice.workspace, role=Role.OWNER)  # or nobody would be left to own it
        alice.delete()
    assert bearer(plain).post("tasks/", {"title": "x"}).status == 401
    assert not Task.objects.exists()


def test_the_last_use_is_written_at_most_once_a_minute(
    alice: Membership, django_assert_num_queries: Any
) -> None:
    plain, key = api_key(alice)
    bearer(plain).get("tasks/")
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    with django_assert_num_queries(3):  # key, head, page
        bearer(plain).get("tasks/")
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    bearer(plain).get("tasks/")
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at > first - timedelta(seconds=61)


def login(name: str = "alice", **headers: str) -> Caller:
    """Return somebody who has logged in through the page and holds a CSRF token."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.get("/api/auth/login/")
    token = client.cookies["csrftoken"].value
    form = {"username": name, "password": "password", "csrfmiddlewaretoken": token}
    assert client.post("/api/auth/login/", form).status_code == 302
    return Caller({"X-CSRFToken": client.cookies["csrftoken"].value, **headers}, client)


def test_a_login_works_in_its_only_workspace(workspace: Workspace) -> None:
    made = login().post("tasks/", {"title": "x"})
    assert (made.status, made.body["created_by"]) == (201, "alice")
    (event,) = login().get("events/").body["results"]
    assert event["actor"]["kind"] == "user"


def test_a_login_without_a_csrf_token_writes_nothing(workspace: Workspace) -> None:
    alice = login()
    alice.headers.clear()
    assert alice.get("tasks/").status == 200
    assert alice.post("tasks/", {"title": "x"}).status == 403
    alice.headers["X-CSRFToken"] = "a" * 32
    assert alice.post("tasks/", {"title": "x"}).status == 403
    assert not Task.objects.exists()


def test_a_login_in_several_workspaces_names_one(workspace: Workspace) -> None:
    other = factories.workspace("other-one")
    Task.objects.create(workspace=other, title="There", created_by="alice", number=1)
    alice = login()
    unnamed = alice.get("tasks/")
    assert (unnamed.status, unnamed.pointers) == (400, [("?workspace", "required")])
    assert alice.get("tasks/?workspace=other-one").body["results"][0]["title"] == "There"
    assert alice.get("tasks/", X_Workspace="other-one").body["results"][0]["title"] == "There"
    assert alice.get("tasks/", X_Workspace=workspace.slug).body["results"] == []
    for name in ("no-such", "%00", ""):
        assert alice.get(f"tasks/?workspace={name}").status == (400 if not name else 404)


def test_a_login_finds_no_workspace_that_it_is_not_in(workspace: Workspace) -> None:
    factories.member(factories.workspace("charlies"), name="charlie")
    charlie = login("charlie")
    foreign = charlie.get("tasks/", X_Workspace=workspace.slug)
    unknown = charlie.get("tasks/", X_Workspace="no-such")
    assert (foreign.status, foreign.body) == (404, unknown.body)


def test_a_login_in_no_workspace_is_refused(db: None) -> None:
    factories.user("dora")
    assert login("dora").get("tasks/").status == 403


def test_a_viewer_s_login_reads_only(workspace: Workspace) -> None:
    factories.member(workspace, role=Role.VIEWER, name="vera")
    vera = login("vera")
    assert vera.get("tasks/").status == 200
    assert vera.post("tasks/", {"title": "x"}).status == 403


def test_a_key_s_workspace_is_not_changed_by_a_header(workspace: Workspace) -> None:
    other = factories.workspace("other-two")
    api = caller(workspace)
    made = api.post("tasks/", {"title": "x"}, X_Workspace="other-two").body
    assert Task.objects.get(pk=made["id"]).workspace_id == workspace.pk != other.pk


def test_an_action_that_declares_no_capability_is_refused_even_to_an_owner(
    workspace: Workspace, rf: Any
) -> None:
    class Forgetful(WorkspaceView):
        permission_classes = [WorkspacePermission]

        def list(self, request: Any) -> Any:
            raise AssertionError("must not be reached")

    header = caller(workspace).headers["Authorization"]
    view = Forgetful.as_view({"get": "list"})
    response = view(rf.get("/", headers={"Authorization": header}))
    assert response.status_code == 403
