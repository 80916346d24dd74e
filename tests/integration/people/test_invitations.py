"""Invitations: a link by mail, for seven days, used once; nothing of it is kept or logged."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tasks_app.actions.invitation import accept
from tasks_app.exceptions import InvitationOver
from tasks_app.models import Invitation, Membership, Notice, Role, Workspace
from tasks_app.queries.invitation_link import token_of
from tests.integration.people.conftest import logged_in
from tests.support import factories
from tests.support.callers import Caller, caller
from tests.support.letters import link_in, next_letter, posted
from tests.support.mail_server import MailServer
from tests.support.threads import backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)

OLGA = "olga@example.org"
FORM = {"username": "olga", "password1": "correct horse 1", "password2": "correct horse 1"}


def invite(owner: Caller, email: str = OLGA, role: str = "member") -> str:
    answer = owner.post("invitations/", {"email": email, "role": role})
    assert answer.status == 201, answer.raw
    return str(answer.body["id"])


def role_of(workspace: Workspace, name: str) -> str:
    return Membership.objects.get(workspace=workspace, user__username=name).role


def test_somebody_new_joins_by_the_link_and_chooses_a_password(
    workspace: Workspace, owner: Caller, smtp: MailServer
) -> None:
    invite(owner, role="admin")
    letter = next_letter(smtp)
    assert letter.to == (OLGA,)
    browser, link = Client(), link_in(letter)
    page = browser.get(link)
    assert page.status_code == 200
    assert OLGA in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    weak = browser.post(link, FORM | {"password1": "olga", "password2": "olga"})
    assert weak.status_code == 400
    assert not User.objects.filter(username="olga").exists()
    assert browser.post(link, FORM).status_code == 302
    assert role_of(workspace, "olga") == "admin"
    assert User.objects.get(username="olga").email == OLGA
    assert Caller(client=browser).get("tasks/").status == 200
    assert browser.get(link).status_code == 410
    assert Client().post(link, FORM | {"username": "eve"}).status_code == 410
    log = factories.log(workspace)
    assert [event.type for event in log] == ["invitation_created", "member_added"]
    assert log[1].actor["name"] == "olga"


def test_somebody_with_an_account_joins_with_it(
    workspace: Workspace, owner: Caller, smtp: MailServer
) -> None:
    mia = factories.user("mia")
    first = owner.post("invitations/", {"email": "Mia@Example.org", "role": "viewer"})
    other = owner.post("invitations/", {"email": "nobody@example.org", "role": "viewer"})
    assert first.body.keys() == other.body.keys()  # whether there is an account is not told
    posted()
    (letter,) = [one for one in smtp.letters if one.to[0].lower() == "mia@example.org"]
    new = Client().post(link_in(letter), FORM)
    assert new.status_code == 400
    assert "has an account" in new.content.decode()
    assert logged_in(mia).post(link_in(letter)).status_code == 302
    assert role_of(workspace, "mia") == "viewer"
    assert logged_in(mia).post(link_in(letter)).status_code == 410


def test_who_is_a_member_keeps_the_role_and_leaves_the_link_to_others(
    workspace: Workspace, owner: Caller, smtp: MailServer
) -> None:
    member = factories.member(workspace, role=Role.VIEWER)
    invite(owner, role="owner")
    link = link_in(next_letter(smtp))
    assert logged_in(member.user).post(link).status_code == 409
    assert role_of(workspace, member.user.get_username()) == "viewer"
    assert Client().post(link, FORM).status_code == 302


def test_a_page_of_another_site_cannot_make_somebody_join(owner: Caller, smtp: MailServer) -> None:
    invite(owner)
    link = link_in(next_letter(smtp))
    assert logged_in(factories.user("mia"), csrf=True).post(link).status_code == 403


def test_an_address_is_invited_once_at_a_time_whatever_its_case(owner: Caller) -> None:
    invite(owner)
    again = owner.post("invitations/", {"email": OLGA.upper()})
    assert again.pointers == [("/email", "already_invited")]
    Invitation.objects.update(expires_at=timezone.now())
    invite(owner)
    states = [one["state"] for one in owner.get("invitations/").body["results"]]
    assert states == ["open", "revoked"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"email": "alice@example.org"}, "/email", "already_member"),
        ({"email": "ALICE@example.org"}, "/email", "already_member"),
        ({"email": "no address"}, "/email", "invalid"),
        ({"email": "a@example.org\nBcc: b@example.org"}, "/email", "invalid"),
        ({"email": None}, "/email", "null"),
        ({}, "/email", "required"),
        ({"email": OLGA, "role": "root"}, "/role", "invalid_choice"),
        ({"email": OLGA, "token": "x"}, "/token", "unknown_field"),
    ],
)
def test_what_is_odd_is_refused_with_its_place(
    owner: Caller, body: object, pointer: str, code: str
) -> None:
    for path in ("invitations/", "members/"):
        answer = owner.post(path, body)
        assert (answer.status, answer.pointers) == (400, [(pointer, code)])
    assert not Notice.objects.exists()


def test_adding_a_member_is_inviting_one(owner: Caller, smtp: MailServer) -> None:
    answer = owner.post("members/", {"email": OLGA})
    assert (answer.status, answer.body["state"]) == (202, "open")
    assert next_letter(smtp).to == (OLGA,)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_invite_and_see_invitations(workspace: Workspace, role: str) -> None:
    somebody = caller(workspace, role=role)
    assert somebody.get("invitations/").status == 403
    assert somebody.post("invitations/", {"email": OLGA}).status == 403
    assert somebody.post("members/", {"email": OLGA}).status == 403


def test_sending_anew_ends_the_earlier_link_and_begins_the_week_anew(
    owner: Caller, smtp: MailServer
) -> None:
    path = f"invitations/{invite(owner)}/"
    old = link_in(next_letter(smtp))
    Invitation.objects.update(expires_at=timezone.now())
    assert Client().get(old).status_code == 410
    assert owner.post(f"{path}resend/").body["state"] == "open"
    new = link_in(next_letter(smtp))
    assert [Client().get(old).status_code, Client().get(new).status_code] == [410, 200]
    left = Invitation.objects.get().expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


def test_a_revoked_link_is_dead_and_so_is_its_mail(
    workspace: Workspace, owner: Caller, smtp: MailServer
) -> None:
    path = f"invitations/{invite(owner)}/"
    link = link_in(next_letter(smtp))
    assert [owner.delete(path).status, owner.delete(path).status] == [204, 204]
    assert Client().get(link).status_code == 410
    assert owner.post(f"{path}resend/").status == 409
    second = invite(owner, "mia@example.org")
    assert owner.delete(f"invitations/{second}/").status == 204
    posted()
    assert [one.to for one in smtp.letters] == [(OLGA,)]
    assert Notice.objects.order_by("pk").last().error == "over"  # type: ignore[union-attr]


def test_invitations_of_another_workspace_are_not_there(owner: Caller) -> None:
    theirs = invite(caller(factories.workspace()))
    path = f"invitations/{theirs}/"
    assert [owner.get(path).status, owner.delete(path).status] == [404, 404]
    assert owner.post(f"{path}resend/").status == 404
    assert owner.get("invitations/").body["results"] == []


def test_no_link_is_kept_and_no_address_is_told(
    workspace: Workspace, owner: Caller, smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        invite(owner)
        link = link_in(next_letter(smtp))
        Client().get(link)
    token = link.partition("token=")[2]
    kept = [list(model.objects.values()) for model in (Invitation, Notice)]
    assert token not in json.dumps(kept, default=str)
    assert token not in caplog.text
    events = caller(workspace, role=Role.VIEWER).get("events/").raw
    assert OLGA.encode() not in events
    assert token.encode() not in events


@pytest.mark.parametrize("token", ["", "x", "x:y", "\0", "é", "a" * 3000])
def test_a_made_up_link_leads_nowhere(owner: Caller, token: str) -> None:
    invite(owner)
    assert Client().get("/account/invitation/", {"token": token}).status_code == 410


def test_a_mail_server_that_is_away_loses_no_invitation(owner: Caller, smtp: MailServer) -> None:
    smtp.refuses = "451 later"
    invite(owner)
    posted()
    assert smtp.letters == []
    smtp.refuses = ""
    Notice.objects.update(next_try_at=timezone.now())
    assert next_letter(smtp).to == (OLGA,)


def test_of_two_who_use_a_link_at_once_one_joins(workspace: Workspace, owner: Caller) -> None:
    invite(owner)
    token, pids = token_of(Invitation.objects.get()), list[int]()
    mia, max_ = factories.user("mia"), factories.user("max")

    def second() -> None:
        pids.append(backend_pid())
        accept(token=token, user=max_)

    with transaction.atomic():
        accept(token=token, user=mia)
        other = in_thread(second)
        until(lambda: bool(pids), "the second has begun")
        until_blocked(pids[0])
    with pytest.raises(InvitationOver):
        other.result(20)
    assert not Membership.objects.filter(workspace=workspace, user=max_).exists()
