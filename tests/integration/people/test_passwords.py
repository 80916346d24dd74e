"""Passwords: a link by mail tells nobody whether there is an account, is used once, ends logins."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks_app.actions.account import reset_password
from tasks_app.models import Notice, Workspace
from tests.integration.people.conftest import logged_in
from tests.support.callers import Caller
from tests.support.letters import link_in, next_letter, posted
from tests.support.mail_server import MailServer
from tests.support.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)

ASK, CHANGE = "/account/password/forgotten/", "/account/password/"
NEW = {"new_password1": "correct horse 1", "new_password2": "correct horse 1"}


def ask(address: str) -> None:
    answer = Client().post(ASK, {"email": address})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/password/sent/")


def test_a_link_sets_a_new_password_once_and_ends_every_login(
    workspace: Workspace, smtp: MailServer
) -> None:
    alice = User.objects.get(username="alice")
    old = logged_in(alice)
    assert Caller(client=old).get("tasks/").status == 200
    ask("Alice@Example.org")
    letter = next_letter(smtp)
    assert letter.to == ("alice@example.org",)
    link = link_in(letter)
    assert Client().get(link).status_code == 200
    weak = Client().post(link, {"new_password1": "alice", "new_password2": "alice"})
    assert weak.status_code == 400
    assert Client().post(link, NEW).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("correct horse 1")
    assert Caller(client=old).get("tasks/").status == 401
    for answer in (Client().get(link), Client().post(link, NEW)):
        assert answer.status_code == 410


def test_whether_there_is_an_account_changes_neither_the_answer_nor_what_is_done(
    workspace: Workspace, smtp: MailServer
) -> None:
    """The request does the same statements for both: nobody is looked up before the mail goes."""
    done = []
    for address in ("alice@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as queries:
            answer = Client().post(ASK, {"email": address})
        done.append((answer.status_code, answer.headers["Location"], answer.content, len(queries)))
        assert not any("auth_user" in query["sql"] for query in queries)
    assert done[0] == done[1]
    posted()
    assert [one.to for one in smtp.letters] == [("alice@example.org",)]
    assert Notice.objects.get(address="nobody@example.org").error == "unknown_address"


def test_nobody_s_box_is_filled_by_asking_again(workspace: Workspace, smtp: MailServer) -> None:
    for address in ("alice@example.org", "ALICE@example.org", "alice@example.org"):
        ask(address)
    assert Notice.objects.count() == 1
    Notice.objects.update(created_at=F("created_at") - timedelta(seconds=61))
    ask("alice@example.org")
    assert Notice.objects.count() == 2


def test_who_is_shut_out_gets_no_link(workspace: Workspace, smtp: MailServer) -> None:
    User.objects.filter(username="alice").update(is_active=False)
    ask("alice@example.org")
    posted()
    assert smtp.letters == []


def test_a_link_that_could_not_be_sent_in_time_is_not_sent(
    workspace: Workspace, smtp: MailServer
) -> None:
    ask("alice@example.org")
    Notice.objects.update(created_at=timezone.now() - timedelta(hours=2))
    posted()
    assert smtp.letters == []
    assert Notice.objects.get().error == "too_late"


def test_a_link_ends_with_its_hour(
    workspace: Workspace, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("alice@example.org")
    link = link_in(next_letter(smtp))
    later = timezone.now().replace(tzinfo=None) + timedelta(hours=1, seconds=1)
    target = "django.contrib.auth.tokens.PasswordResetTokenGenerator._now"
    monkeypatch.setattr(target, lambda self: later)
    assert Client().get(link).status_code == 410


def test_of_two_who_use_a_link_at_once_one_sets_the_password(
    workspace: Workspace, smtp: MailServer
) -> None:
    ask("alice@example.org")
    link = link_in(next_letter(smtp))
    parts = dict(part.split("=", 1) for part in link.partition("?")[2].split("&"))

    def use(password: str) -> bool:
        return reset_password(uid=parts["uid"], token=parts["token"], password=password) is not None

    tries = [in_thread(partial(use, f"correct horse {n}")) for n in range(4)]
    assert sorted(one.result(20) for one in tries) == [False, False, False, True]


@pytest.mark.parametrize("query", ["", "uid=x&token=y", "uid=MQ&token=1-2", "uid=%00&token=%00"])
def test_a_made_up_link_leads_nowhere(workspace: Workspace, query: str) -> None:
    assert Client().get(f"/account/password/new/?{query}").status_code == 410


def test_who_is_logged_in_changes_the_password_and_ends_the_other_logins(
    workspace: Workspace,
) -> None:
    alice = User.objects.get(username="alice")
    here, elsewhere = logged_in(alice), logged_in(alice)
    assert Client().get(CHANGE).status_code == 302
    assert here.post(CHANGE, NEW | {"old_password": "wrong"}).status_code == 400
    assert here.post(CHANGE, NEW | {"old_password": "password"}).status_code == 200
    assert Caller(client=here).get("tasks/").status == 200
    assert Caller(client=elsewhere).get("tasks/").status == 401


def test_two_accounts_never_share_an_address(workspace: Workspace) -> None:
    with pytest.raises(Exception, match="user_email_once"):
        User.objects.create_user("other", "ALICE@EXAMPLE.ORG")
    User.objects.create_user("first", "")
    User.objects.create_user("second", "")


def test_no_request_speaks_with_the_mail_server(workspace: Workspace, smtp: MailServer) -> None:
    smtp.hangs = True
    ask("alice@example.org")
    assert smtp.connections == 0
