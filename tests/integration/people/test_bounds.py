"""What strangers are spared: mails without end, links of who has gone, queues of others."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from tasks_app.actions import invitation as actions
from tasks_app.actions.account import ask_for_password
from tasks_app.exceptions import Invalid
from tasks_app.models import Invitation, Membership, Notice, Role, Workspace
from tasks_app.queries.invitation_link import token_of
from tests.support import factories
from tests.support.callers import Caller, api_key, caller
from tests.support.letters import posted
from tests.support.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)
OLGA = "olga@example.org"


def invited(owner: Caller, email: str = OLGA) -> int:
    return owner.post("invitations/", {"email": email}).status


def revoked(owner: Caller) -> int:
    (row,) = owner.get("invitations/?state=open").body["results"]
    return owner.delete(f"invitations/{row['id']}/").status


def test_an_address_is_mailed_so_often_a_week_also_by_invitations_that_were_revoked(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST_ISSUES", 3)
    for email in (OLGA, OLGA.upper()):
        assert [invited(owner, email), revoked(owner)] == [201, 204]
    assert invited(owner) == 201
    (row,) = owner.get("invitations/?state=open").body["results"]
    refused = owner.post(f"invitations/{row['id']}/resend/")
    assert refused.status == 409
    assert "too many invitations this week" in refused.body["detail"]
    assert [revoked(owner), invited(owner), invited(owner, "mia@example.org")] == [204, 409, 201]
    assert Notice.objects.count() == 4
    Invitation.objects.update(expires_at=F("expires_at") - timedelta(days=7))
    assert invited(owner) == 201


def test_many_workspaces_together_fill_nobody_s_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST_ISSUES_OF_ALL", 2)
    answers = [invited(caller(factories.workspace())) for _ in range(3)]
    assert answers == [201, 201, 409]


def test_a_workspace_has_so_many_invitations_open(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST_OPEN", 2)
    assert [invited(owner, f"{name}@example.org") for name in "abc"] == [201, 201, 409]
    (first, _) = owner.get("invitations/?ordering=created_at").body["results"]
    assert owner.delete(f"invitations/{first['id']}/").status == 204
    assert invited(owner, "c@example.org") == 201
    assert owner.post("members/", {"email": "d@example.org"}).status == 409


def test_who_forgot_a_password_does_not_wait_behind_a_flood_of_others(
    owner: Caller, smtp: MailServer
) -> None:
    for name in "abc":
        assert invited(owner, f"{name}@example.org") == 201
    ask_for_password(address="alice@example.org")
    posted()
    assert [one.to[0][0] for one in smtp.letters] == ["a", "a", "b", "c"]
    assert smtp.letters[0].to == ("alice@example.org",)
    assert not Notice.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize("way", ["removed", "leaves", "demoted"])
def test_invitations_of_an_owner_who_is_none_any_more_do_not_let_anybody_in(
    workspace: Workspace, owner: Caller, way: str
) -> None:
    eve = factories.member(workspace, role=Role.OWNER)
    theirs = Caller({"Authorization": f"Bearer {api_key(eve)[0]}"})
    assert theirs.post("invitations/", {"email": "eve2@x.org", "role": "owner"}).status == 201
    assert invited(owner) == 201
    token = token_of(Invitation.objects.get(email="eve2@x.org"))
    path = f"members/{eve.pk}/"
    if way == "removed":
        assert owner.delete(path).status == 204
    elif way == "leaves":
        assert theirs.post("members/leave/").status == 204
    else:
        assert owner.patch(path, {"role": "admin"}).status == 200
    assert Client().get("/account/invitation/", {"token": token}).status_code == 410
    assert [row["email"] for row in owner.get("invitations/?state=open").body["results"]] == [OLGA]
    assert [event.type for event in factories.log(workspace)][2] == "invitation_revoked"


def test_an_account_that_is_disabled_is_no_owner_who_stays(
    workspace: Workspace, owner: Caller
) -> None:
    alice = Membership.objects.get(workspace=workspace, user__username="alice")
    User.objects.filter(username="alice").update(is_active=False)
    me = Membership.objects.in_workspace(workspace.pk).exclude(pk=alice.pk).get()
    answers = [
        owner.post("members/leave/"),
        owner.patch(f"members/{me.pk}/", {"role": "admin"}),
    ]
    assert [answer.status for answer in answers] == [409, 409]
    with pytest.raises(Exception, match="would have no owner"):
        Membership.objects.filter(pk=me.pk).update(role=Role.ADMIN)
    assert owner.delete(f"members/{alice.pk}/").status == 204


def test_two_who_join_never_have_names_that_differ_by_case_alone(owner: Caller) -> None:
    """Past the form, as where both have looked before either has written."""
    for email in ("a@example.org", "b@example.org"):
        assert invited(owner, email) == 201
    tokens = [token_of(row) for row in Invitation.objects.order_by("email")]
    actions.accept_as_new(token=tokens[0], username="olga", password="x")
    for name in ("Olga", "olga"):
        with pytest.raises(Invalid) as refusal:
            actions.accept_as_new(token=tokens[1], username=name, password="x")
        assert [error.pointer for error in refusal.value.errors] == ["/username"]
    assert User.objects.filter(username__iexact="olga").count() == 1


def test_a_failed_login_on_the_way_to_an_invitation_keeps_no_link(owner: Caller) -> None:
    assert invited(owner) == 201
    token = token_of(Invitation.objects.get())
    there = f"/account/invitation/?token={token}"
    wrong = {"username": "mia", "password": "wrong", "next": there}
    for page in ("/api/auth/login/", "/admin/login/"):
        assert Client().post(page, wrong, query_params={"next": there}).status_code == 200
    kept = str(list(AccessAttempt.objects.values()))
    assert "next=****" in kept
    assert token.partition(":")[0] not in kept
