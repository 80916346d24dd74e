"""A page that was overtaken writes nothing: users, workspaces and members, as tasks do."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks_app.actions.account import disable_user
from tasks_app.actions.member import change_role
from tasks_app.actions.workspace import change_workspace
from tasks_app.models import Membership, Role, Workspace
from tests.support import factories
from tests.support.admin_pages import address, filled, texts

pytestmark = pytest.mark.django_db
OVERTAKEN = "Somebody has changed this since the page was made."


def test_who_was_disabled_meanwhile_is_not_let_in_again(browser: Client) -> None:
    sam = factories.user("sam")
    url = address(User, "change", sam.pk)
    sent = filled(browser, url, first_name="Samuel")
    disable_user(user_id=sam.pk)
    for _ in range(2):  # also when it is sent again
        page = browser.post(url, sent).content.decode()
        assert OVERTAKEN in page
        assert 'value="Samuel"' in page  # what was typed is not lost
    sam.refresh_from_db()
    assert (sam.is_active, sam.first_name) == (False, "")
    assert browser.post(url, filled(browser, url, first_name="Samuel")).status_code == 302
    sam.refresh_from_db()
    assert (sam.is_active, sam.first_name) == (False, "Samuel")


def test_a_slug_that_was_changed_meanwhile_is_not_put_back(
    browser: Client, workspace: Workspace
) -> None:
    url = address(Workspace, "change", workspace.pk)
    sent = filled(browser, url, name="Mine")
    fields = {"slug": "another"}
    change_workspace(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    assert OVERTAKEN in browser.post(url, sent).content.decode()
    before = workspace.name
    workspace.refresh_from_db()
    assert (workspace.slug, workspace.name) == ("another", before)


def test_a_role_that_was_changed_meanwhile_is_not_put_back(
    browser: Client, workspace: Workspace
) -> None:
    mia = factories.member(workspace)
    url = address(Membership, "change", mia.pk)
    sent = filled(browser, url, role="admin")
    lowered(workspace, mia)
    assert OVERTAKEN in browser.post(url, sent).content.decode()
    mia.refresh_from_db()
    assert mia.role == Role.VIEWER


def test_what_does_not_say_of_what_it_was_made_is_refused(
    browser: Client, workspace: Workspace
) -> None:
    url = address(Workspace, "change", workspace.pk)
    sent = filled(browser, url, name="Mine", seen="")
    assert OVERTAKEN in browser.post(url, sent).content.decode()
    assert factories.log(workspace) == []


def test_nobody_is_removed_and_nothing_ended_who_is_not_as_was_shown(
    browser: Client, workspace: Workspace
) -> None:
    mia = factories.member(workspace)
    end = address(Workspace, "delete", workspace.pk)
    remove = address(Membership, "delete", mia.pk)
    pages = [(url, filled(browser, url)) for url in (end, remove)]
    lowered(workspace, mia)
    fields = {"name": "Needed"}
    change_workspace(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    for url, sent in pages:
        (told,) = texts(browser.post(url, sent, follow=True))
        assert OVERTAKEN in told
    assert Membership.objects.filter(pk=mia.pk).exists()
    assert Workspace.objects.get(pk=workspace.pk).deleted_at is None


def lowered(workspace: Workspace, member: Membership) -> None:
    """Make the member a viewer, as somebody else does meanwhile."""
    change_role(
        workspace_id=workspace.pk,
        membership_id=member.pk,
        role=Role.VIEWER,
        cause=factories.cause(),
    )
