"""Workspaces and members in the admin: what is written, what is refused, what is asked before."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from tasks_app.actions.invitation import invite
from tasks_app.actions.workspace import delete_workspace
from tasks_app.models import (
    Destination,
    IdempotencyKey,
    Invitation,
    Membership,
    Role,
    Task,
    Workspace,
)
from tests.support import factories
from tests.support.admin_pages import address, do, filled, staff, texts

pytestmark = pytest.mark.django_db
ADD = "/admin/tasks_app/workspace/add/"


def opened(browser: Client, **typed: Any) -> Any:
    """Open a workspace of Olga's by the form."""
    known = {"slug": "acme", "name": "Acme", "owner": factories.user("olga").pk}
    return browser.post(ADD, filled(browser, ADD, **(known | typed)))


def test_a_workspace_is_made_with_its_log_and_its_owner(browser: Client, operator: User) -> None:
    assert opened(browser).status_code == 302
    made = Workspace.objects.get(slug="acme")
    assert made.memberships.get().role == Role.OWNER
    (event,) = factories.log(made)
    assert (event.type, event.actor["name"]) == ("workspace_created", "olivia")
    assert event.data["member"]["user"] == "olga"
    assert event.data["workspace"]["slug"] == "acme"


@pytest.mark.parametrize("slug", ["Acme", "a_b", "-a", "a-", "a" * 51, "é", "a b", "acme\n.."])
def test_a_slug_is_here_what_it_is_in_the_api(browser: Client, slug: str) -> None:
    answer = opened(browser, slug=slug)
    assert answer.status_code == 200
    assert "slug" in answer.context["adminform"].form.errors
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("slug", ["Acme", "a_b", "-a", "a-", "a\n", "", "é"])
def test_past_every_form_the_database_keeps_slugs_that_stand_in_addresses(slug: str) -> None:
    with pytest.raises(IntegrityError, match="workspace_slug"), transaction.atomic():
        Workspace.objects.create(slug=slug, name="x")


def test_a_workspace_is_renamed_and_the_log_says_so(browser: Client, workspace: Workspace) -> None:
    url = address(Workspace, "change", workspace.pk)
    assert browser.post(url, filled(browser, url, name="Other")).status_code == 302
    (event,) = factories.log(workspace)
    assert event.data["changes"] == {"name": [workspace.name, "Other"]}


def test_before_a_workspace_ends_it_is_said_that_all_of_it_goes(
    browser: Client, workspace: Workspace
) -> None:
    url = address(Workspace, "delete", workspace.pk)
    page = browser.get(url).content.decode()
    assert "all of it is erased: its log, tasks" in page
    assert "There is no way back." in page
    assert "Its log stays" not in page
    assert browser.post(url, filled(browser, url)).status_code == 302
    assert Workspace.objects.get(pk=workspace.pk).deleted_at is not None


def test_a_member_gets_another_role_and_is_removed(browser: Client, workspace: Workspace) -> None:
    mia = factories.member(workspace)
    url = address(Membership, "change", mia.pk)
    assert browser.post(url, filled(browser, url, role="admin")).status_code == 302
    mia.refresh_from_db()
    assert mia.role == Role.ADMIN
    remove = address(Membership, "delete", mia.pk)
    assert "keys in this workspace are gone" in browser.get(remove).content.decode()
    assert browser.post(remove, filled(browser, remove)).status_code == 302
    kinds = [event.type for event in factories.log(workspace)]
    assert kinds == ["member_role_changed", "member_removed"]


def test_the_last_owner_is_not_removed(browser: Client, workspace: Workspace) -> None:
    alice = workspace.memberships.get()
    url = address(Membership, "delete", alice.pk)
    (told,) = texts(browser.post(url, filled(browser, url), follow=True))
    assert "owner" in told
    assert Membership.objects.filter(pk=alice.pk).exists()


@pytest.mark.parametrize("role", Role.values)
def test_who_was_invited_is_seen_by_who_manages_members_and_no_address_in_a_title(
    workspace: Workspace, role: str
) -> None:
    invite(workspace_id=workspace.pk, email="olga@x.org", role="member", cause=factories.cause())
    at, row = {"workspace_id": workspace.pk, "owner": "o", "key": "of-a-caller"}, {"status": 200}
    key = IdempotencyKey.objects.create(
        **at, **row, fingerprint=b"f", expires_at="2100-01-01T00:00:00Z"
    )
    theirs, owns = staff(workspace, role), role == Role.OWNER
    one = address(Invitation, "change", Invitation.objects.get().pk)
    for url in (address(Invitation, "changelist"), one):
        answer = theirs.get(url)
        assert answer.status_code in ({200} if owns else {302, 403}), url
        assert "olga" not in answer.content.decode()
    page = theirs.get(address(IdempotencyKey, "change", key.pk)).content.decode()
    assert "of-a-caller" not in page


@pytest.mark.parametrize("model", [Task, Destination])
def test_a_form_names_no_workspace_of_others_and_none_that_has_ended(
    browser: Client, workspace: Workspace, model: Any
) -> None:
    hidden, ended = factories.workspace("hidden-one"), factories.workspace("ended-one")
    delete_workspace(workspace_id=ended.pk, cause=factories.cause())
    theirs, url = staff(workspace, Role.OWNER), address(model, "add")
    assert workspace.slug in theirs.get(url, {"workspace": str(workspace.pk)}).content.decode()
    assert "hidden-one" not in theirs.get(url, {"workspace": str(hidden.pk)}).content.decode()
    assert "hidden-one" in browser.get(url, {"workspace": str(hidden.pk)}).content.decode()
    assert "ended-one" not in browser.get(url, {"workspace": str(ended.pk)}).content.decode()
    sent = filled(browser, url, workspace=ended.pk, title="t", name="n", url="http://127.0.0.1/")
    answer = browser.post(url, sent)
    assert "workspace" in answer.context["adminform"].form.errors


def test_an_id_that_is_none_is_refused_in_words(browser: Client, workspace: Workspace) -> None:
    url = address(Task, "add")
    sent = filled(browser, url, workspace="abc", title="t")
    ticked = {"_selected_action": "abc", "action": "delete_tasks", "index": "0"}
    for answer in (
        browser.get(url, {"workspace": "abc"}),
        browser.post(url, sent),
        browser.post(address(Task, "changelist"), ticked),
        browser.post(address(Task, "changelist"), ticked | {"confirmed": "yes"}),
    ):
        assert answer.status_code == 400
        assert "is no id" in answer.content.decode()
    unknown = type("Row", (), {"pk": uuid.uuid4()})
    assert do(browser, Task, "delete_tasks", unknown, confirmed="yes").status_code == 200
