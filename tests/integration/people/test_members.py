"""Members: who sees them, who changes them, and that somebody always owns the workspace."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from tasks_app.actions.member import change_role, remove_member
from tasks_app.exceptions import LastOwner
from tasks_app.models import ApiKey, Membership, Role, Scope, Workspace
from tests.support import factories
from tests.support.callers import Caller, api_key, caller
from tests.support.factories import cause
from tests.support.threads import backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db


def types(workspace: Workspace) -> list[str]:
    return [event.type for event in factories.log(workspace)]


def test_everybody_sees_the_members_and_only_owners_their_addresses(
    workspace: Workspace, owner: Caller
) -> None:
    member = factories.member(workspace, name="mia")
    seen = owner.get("members/?user=mia").body["results"]
    assert seen[0] | {"created_at": ""} == {
        "id": str(member.pk),
        "user": "mia",
        "email": "mia@example.org",
        "role": "member",
        "created_at": "",
    }
    for role in (Role.VIEWER, Role.MEMBER, Role.ADMIN):
        answer = caller(workspace, role=role).get(f"members/{member.pk}/")
        assert answer.body["email"] is None
        assert answer.headers["Stream-Cursor"]


def test_another_role_is_an_event_and_nothing_new_is_none(
    workspace: Workspace, owner: Caller
) -> None:
    member = factories.member(workspace, name="mia")
    path = f"members/{member.pk}/"
    assert owner.patch(path, {"role": "admin"}).body["role"] == "admin"
    assert owner.patch(path, {"role": "admin"}).status == 200
    assert owner.patch(path, owner.get(path).body).status == 200
    (event,) = factories.log(workspace)
    assert event.type == "member_role_changed"
    assert event.data["changes"] == {"role": ["member", "admin"]}
    assert event.data["member"] == {"id": str(member.pk), "user": "mia", "role": "admin"}


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"role": "root"}, "/role", "invalid_choice"),
        ({"role": None}, "/role", "null"),
        ({"user": "eve"}, "/user", "read_only"),
        ({"email": "eve@example.org"}, "/email", "read_only"),
        ({"rank": 1}, "/rank", "unknown_field"),
    ],
)
def test_what_is_odd_is_refused_with_its_place(
    workspace: Workspace, owner: Caller, body: object, pointer: str, code: str
) -> None:
    member = factories.member(workspace)
    answer = owner.patch(f"members/{member.pk}/", body)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)])


def test_a_lower_role_lowers_its_keys_at_once_and_for_good(
    workspace: Workspace, owner: Caller
) -> None:
    member = factories.member(workspace, role=Role.ADMIN)
    plain, key = api_key(member, Scope.ADMIN)
    _, reads = api_key(member, Scope.READ)
    theirs = Caller({"Authorization": f"Bearer {plain}"})
    assert theirs.post("tasks/", {"title": "before"}).status == 201
    assert owner.patch(f"members/{member.pk}/", {"role": "viewer"}).status == 200
    assert theirs.post("tasks/", {"title": "after"}).status == 403
    assert theirs.get("tasks/").status == 200
    assert owner.patch(f"members/{member.pk}/", {"role": "admin"}).status == 200
    assert theirs.post("tasks/", {"title": "later"}).status == 403
    scopes = ApiKey.objects.in_bulk([key.pk, reads.pk])
    assert {one.scope for one in scopes.values()} == {"read"}


def test_who_is_removed_is_out_with_all_keys(workspace: Workspace, owner: Caller) -> None:
    member = factories.member(workspace)
    theirs = Caller({"Authorization": f"Bearer {api_key(member)[0]}"})
    assert owner.delete(f"members/{member.pk}/").status == 204
    assert theirs.get("tasks/").status == 401
    assert owner.delete(f"members/{member.pk}/").status == 404
    assert types(workspace) == ["member_removed"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_everybody_may_leave_and_only_owners_may_send_away(workspace: Workspace, role: str) -> None:
    somebody = caller(workspace, role=role)
    other = factories.member(workspace)
    assert somebody.delete(f"members/{other.pk}/").status == 403
    assert somebody.patch(f"members/{other.pk}/", {"role": "viewer"}).status == 403
    assert somebody.post("members/leave/").status == 204
    assert somebody.get("tasks/").status == 401
    assert types(workspace) == ["member_removed"]


def test_the_last_owner_stays_one(workspace: Workspace) -> None:
    alice = Membership.objects.get(workspace=workspace)
    me = Caller({"Authorization": f"Bearer {api_key(alice)[0]}"})
    for answer in (
        me.patch(f"members/{alice.pk}/", {"role": "admin"}),
        me.delete(f"members/{alice.pk}/"),
        me.post("members/leave/"),
    ):
        assert answer.status == 409
        assert answer.body["type"].endswith("/last_owner")
    assert types(workspace) == []


def test_members_of_another_workspace_are_not_there(owner: Caller) -> None:
    stranger = factories.member(factories.workspace())
    for path in (f"members/{stranger.pk}/", f"members/{uuid.uuid4()}/"):
        assert owner.get(path).status == 404
        assert owner.patch(path, {"role": "viewer"}).status == 404
        assert owner.delete(path).status == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["demote", "leave"])
def test_of_two_owners_who_go_at_once_one_stays(workspace: Workspace, verb: str) -> None:
    """The first holds the workspace's row; the second waits for it and then is the last."""
    first = Membership.objects.get(workspace=workspace)
    second = factories.member(workspace, role=Role.OWNER)
    pids: list[int] = []

    def go(member: Membership) -> None:
        pids.append(backend_pid())
        where = {"workspace_id": workspace.pk, "membership_id": member.pk, "cause": cause()}
        if verb == "demote":
            change_role(**where, role=Role.MEMBER)  # type: ignore[arg-type]
        else:
            remove_member(**where)  # type: ignore[arg-type]

    with transaction.atomic():
        go(first)
        other = in_thread(lambda: go(second))
        until(lambda: len(pids) == 2, "the second has begun")
        until_blocked(pids[1])
    with pytest.raises(LastOwner):
        other.result(20)
    assert Membership.objects.filter(workspace=workspace, role=Role.OWNER).get() == second


@pytest.mark.django_db(transaction=True)
def test_past_every_verb_the_database_keeps_an_owner(workspace: Workspace) -> None:
    """As from a shell: two transactions, neither of which sees what the other does."""
    first = Membership.objects.get(workspace=workspace)
    second = factories.member(workspace, role=Role.OWNER)
    with pytest.raises(IntegrityError, match="would have no owner"):
        Membership.objects.filter(workspace=workspace).update(role=Role.MEMBER)

    def demote() -> None:
        Membership.objects.filter(pk=second.pk).update(role=Role.MEMBER)

    pids: list[int] = []

    def there() -> None:
        pids.append(backend_pid())
        demote()

    with transaction.atomic():
        Membership.objects.filter(pk=first.pk).update(role=Role.MEMBER)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # checks now, holds the row on
        other = in_thread(there)
        until(lambda: bool(pids), "the second has begun")
        until_blocked(pids[0])
    with pytest.raises(IntegrityError, match="would have no owner"):
        other.result(20)
