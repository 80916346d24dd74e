"""Keys: shown once, never above the role, one's own; who manages keys sees and revokes all."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from tasks_app.models import ApiKey, Membership, Role, Scope, Workspace
from tests.integration.people.conftest import logged_in
from tests.support import factories
from tests.support.callers import Caller, api_key, caller

pytestmark = pytest.mark.django_db

LADDER = [Scope.READ, Scope.WRITE, Scope.ADMIN]
HIGHEST = {Role.VIEWER: 1, Role.MEMBER: 2, Role.ADMIN: 3, Role.OWNER: 3}


def session_of(member: Membership) -> Caller:
    return Caller(client=logged_in(member.user))


def test_a_key_is_shown_once_and_opens_what_it_says(workspace: Workspace) -> None:
    member = factories.member(workspace)
    made = session_of(member).post("api-keys/", {"name": "CI", "scope": "write"})
    assert made.status == 201
    plain = made.body["key"]
    assert plain.startswith(made.body["prefix"])
    assert len(made.body["prefix"]) < len(plain) / 2
    bearer = Caller({"Authorization": f"Bearer {plain}"})
    assert bearer.post("tasks/", {"title": "x"}).status == 201
    shown = bearer.get(f"api-keys/{made.body['id']}/")
    assert shown.body["last_used_at"] is not None
    assert shown.body["user"] == member.user.get_username()
    everything = json.dumps(list(ApiKey.objects.values()), default=str) + str(
        [event.data for event in factories.log(workspace)]
    )
    for answer in (shown, bearer.get("api-keys/"), bearer.get("events/")):
        everything += answer.raw.decode()
    assert plain not in everything
    assert plain[len(made.body["prefix"]) :] not in everything


@pytest.mark.parametrize("role", list(HIGHEST))
@pytest.mark.parametrize("scope", LADDER)
def test_a_scope_is_never_above_the_role(workspace: Workspace, role: str, scope: str) -> None:
    somebody = session_of(factories.member(workspace, role=role))
    answer = somebody.post("api-keys/", {"name": "k", "scope": scope})
    if LADDER.index(Scope(scope)) < HIGHEST[Role(role)]:
        assert answer.status == 201
        lower = somebody.patch(f"api-keys/{answer.body['id']}/", {"scope": "read"})
        assert lower.body["scope"] == "read"
    else:
        assert (answer.status, answer.pointers) == (400, [("/scope", "above_role")])
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE])
def test_a_lesser_key_makes_no_key(workspace: Workspace, scope: str) -> None:
    somebody = caller(workspace, scope=scope)
    assert somebody.post("api-keys/", {"name": "k", "scope": "read"}).status == 403


def test_a_key_that_ends_makes_none_that_lives_longer(workspace: Workspace) -> None:
    member = factories.member(workspace, role=Role.OWNER)
    end = timezone.now() + timedelta(hours=1)
    plain, _ = api_key(member, expires_at=end)
    me = Caller({"Authorization": f"Bearer {plain}"})
    made = me.post("api-keys/", {"name": "k", "scope": "admin"})
    assert made.body["expires_at"] == end.isoformat().replace("+00:00", "Z")
    for body in ({"expires_at": "2100-01-01T00:00:00Z"}, {"expires_at": None}):
        path = f"api-keys/{made.body['id']}/"
        assert me.patch(path, body).pointers == [("/expires_at", "too_late")]


def test_a_key_that_ends_raises_none_that_lives_longer(workspace: Workspace) -> None:
    """Or who found both would have the higher scope for good."""
    member = factories.member(workspace, role=Role.OWNER)
    end = timezone.now() + timedelta(hours=1)
    me = Caller({"Authorization": f"Bearer {api_key(member, expires_at=end)[0]}"})
    lasting = f"api-keys/{api_key(member, Scope.READ)[1].pk}/"
    assert me.patch(lasting, {"scope": "admin"}).pointers == [("/scope", "too_late")]
    assert me.patch(lasting, {"name": "still mine"}).status == 200
    raised = me.patch(lasting, {"scope": "admin", "expires_at": end.isoformat()})
    assert (raised.status, raised.body["scope"]) == (200, "admin")
    assert session_of(member).patch(lasting, {"expires_at": None}).status == 200
    assert me.patch(lasting, {"scope": "read"}).status == 200


def test_an_end_lies_ahead_and_then_ends_it(workspace: Workspace) -> None:
    me = session_of(factories.member(workspace))
    past = {"name": "k", "scope": "read", "expires_at": "2020-01-01T00:00:00Z"}
    assert me.post("api-keys/", past).pointers == [("/expires_at", "past")]
    made = me.post("api-keys/", past | {"expires_at": "2100-01-01T00:00:00Z"}).body
    bearer = Caller({"Authorization": f"Bearer {made['key']}"})
    assert bearer.get("tasks/").status == 200
    ApiKey.objects.filter(pk=made["id"]).update(expires_at=timezone.now())
    assert bearer.get("tasks/").status == 401


def test_everybody_has_their_own_keys_and_admins_see_and_revoke_all(workspace: Workspace) -> None:
    mia, max_ = factories.member(workspace), factories.member(workspace)
    plain, key = api_key(mia, Scope.WRITE)
    admin = caller(workspace, role=Role.ADMIN)
    theirs = session_of(max_)
    path = f"api-keys/{key.pk}/"
    assert theirs.get("api-keys/").body["results"] == []
    assert [theirs.get(path).status, theirs.delete(path).status] == [404, 404]
    assert theirs.patch(path, {"name": "mine"}).status == 404
    assert admin.get(f"api-keys/?member={mia.pk}").body["results"][0]["id"] == str(key.pk)
    assert admin.patch(path, {"name": "mine"}).status == 404
    assert Caller({"Authorization": f"Bearer {plain}"}).get("tasks/").status == 200
    assert admin.delete(path).status == 204
    assert Caller({"Authorization": f"Bearer {plain}"}).get("tasks/").status == 401
    assert admin.delete(path).status == 204
    assert admin.get(path).body["revoked_at"] is not None
    assert session_of(mia).patch(path, {"name": "again"}).status == 409
    assert [event.type for event in factories.log(workspace)] == ["api_key_revoked"]


def test_keys_of_another_workspace_are_not_there(owner: Caller) -> None:
    _, key = api_key(factories.member(factories.workspace()))
    for method in ("GET", "DELETE"):
        assert owner.call(method, f"api-keys/{key.pk}/").status == 404


def test_changes_are_told_and_what_is_not_changed_is_not(workspace: Workspace) -> None:
    me = session_of(factories.member(workspace))
    made = me.post("api-keys/", {"name": "k", "scope": "write"}).body
    path = f"api-keys/{made['id']}/"
    assert me.patch(path, {"name": "k"}).status == 200
    assert me.patch(path, me.get(path).body).status == 200
    assert me.patch(path, {"name": "CI", "scope": "read"}).status == 200
    created, changed = factories.log(workspace)
    assert (created.type, changed.type) == ("api_key_created", "api_key_changed")
    assert changed.data["changes"] == {"name": ["k", "CI"], "scope": ["write", "read"]}
    for body in ({"prefix": "ac_x"}, {"member": "x"}, {"revoked_at": "x"}):
        assert me.patch(path, body).pointers == [(f"/{next(iter(body))}", "read_only")]
