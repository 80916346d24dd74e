"""The operator's commands: a workspace and a key from a terminal, in clear words or in JSON."""

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from tasks_app.models import ApiKey, Membership, Role, Workspace
from tests.support import factories
from tests.support.callers import Caller
from tests.support.letters import link_in, next_letter
from tests.support.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().strip()


def test_a_script_opens_a_workspace_and_gets_a_key(db: Any) -> None:
    factories.user("olga")
    made = json.loads(
        run("create_workspace", "acme", "--owner", "olga", "--name", "Acme", "--json")
    )
    assert made | {"id": ""} == {
        "id": "",
        "slug": "acme",
        "name": "Acme",
        "owner": "olga",
        "owner_made": False,
    }
    plain = run("issue_key", "acme", "olga", "--scope", "admin", "--days", "30")
    somebody = Caller({"Authorization": f"Bearer {plain}"})
    assert somebody.post("tasks/", {"title": "x"}).status == 201
    told = json.loads(run("issue_key", "acme", "olga", "--json"))
    assert told["key"].startswith("ac_")
    assert ApiKey.objects.get(pk=told["id"]).scope == told["scope"] == "write"
    events = [event.type for event in factories.log(Workspace.objects.get(slug="acme"))]
    assert events == ["workspace_created", "api_key_created", "task_created", "api_key_created"]


def test_a_missing_owner_is_made_and_chooses_a_password_by_mail(smtp: MailServer) -> None:
    text = run("create_workspace", "acme", "--owner", "olga", "--email", "olga@example.org")
    assert "olga@example.org" in text
    link = link_in(next_letter(smtp))
    new = {"new_password1": "correct horse 1", "new_password2": "correct horse 1"}
    assert Client().post(link, new).status_code == 302
    assert User.objects.get(username="olga").check_password("correct horse 1")
    assert Membership.objects.get(user__username="olga").role == Role.OWNER


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create_workspace", "acme", "--owner", "nobody"), "no active user 'nobody'"),
        (("create_workspace", "Acme!", "--owner", "alice"), "A slug is"),
        (("create_workspace", "taken", "--owner", "alice"), "has this slug"),
        (("create_workspace", "a", "--owner", "x", "--email", "no"), "valid email"),
        (("create_workspace", "a", "--owner", "x", "--email", "alice@example.org"), "address"),
        (("create_workspace", "a", "--owner", "Vera", "--email", "v@example.org"), "this name"),
        (("create_workspace", "a", "--owner", "x y", "--email", "x@example.org"), "username"),
        (("issue_key", "none", "alice"), "no workspace 'none'"),
        (("issue_key", "taken", "nobody"), "no active member 'nobody'"),
        (("issue_key", "taken", "vera", "--scope", "write"), "at most the scope read"),
        (("issue_key", "taken", "alice", "--days", "0"), "--days"),
        (("issue_key", "taken", "alice", "--name", ""), "--name"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_changes_nothing(
    db: Any, words: tuple[str, ...], said: str
) -> None:
    factories.member(factories.workspace("taken"), role=Role.VIEWER, name="vera")
    before = (User.objects.count(), Workspace.objects.count(), ApiKey.objects.count())
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert (User.objects.count(), Workspace.objects.count(), ApiKey.objects.count()) == before
