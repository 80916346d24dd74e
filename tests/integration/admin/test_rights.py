"""Who enters, and who sees and may do what: operators all, staff what their role allows."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from tasks_app.access import Capability, capabilities
from tasks_app.actions.task import create_task
from tasks_app.actions.workspace import delete_workspace
from tasks_app.admin import site
from tasks_app.admin.workspace_filter import WorkspaceFilter
from tasks_app.models import ApiKey, Delivery, Destination, Membership, Role, Task, Workspace
from tests.support import factories
from tests.support.admin_pages import address, do, filled, logged_in, staff, texts

pytestmark = pytest.mark.django_db

WRITES = {
    Task: Capability.WRITE_TASKS,
    Destination: Capability.MANAGE_DESTINATIONS,
    Membership: Capability.MANAGE_MEMBERS,
    Workspace: Capability.MANAGE_WORKSPACE,
}


@pytest.fixture
def others() -> Workspace:
    """Return a workspace with one of each that the staff does not belong to."""
    return inhabited(factories.workspace("others"))


def inhabited(workspace: Workspace) -> Workspace:
    factories.destination(workspace, name=f"of {workspace.slug}")
    fields = {"title": f"of {workspace.slug}"}
    create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    member = workspace.memberships.get()
    ApiKey.objects.create(
        membership=member, name=f"of {workspace.slug}", prefix="ac_", digest=workspace.slug * 4
    )
    return workspace


def test_only_staff_enters(workspace: Workspace) -> None:
    member = logged_in(factories.member(workspace, role=Role.OWNER).user)
    for browser in (member, Client()):
        for model in site._registry:
            answer = browser.get(address(model, "changelist"))
            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/")


def test_who_is_disabled_or_no_longer_staff_is_out_at_once(workspace: Workspace) -> None:
    for change in ({"is_active": False}, {"is_staff": False}):
        browser = staff(workspace)
        assert browser.get(address(Task, "changelist")).status_code == 200
        User.objects.filter(pk=browser.session["_auth_user_id"]).update(**change)
        assert browser.get(address(Task, "changelist")).status_code == 302


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OWNER])
def test_staff_sees_nothing_of_a_workspace_they_do_not_belong_to(
    workspace: Workspace, others: Workspace, role: str
) -> None:
    inhabited(workspace)
    browser = staff(workspace, role)
    for model in site._registry:
        for query in ("", "?workspace=others", "?q=of"):
            answer = browser.get(address(model, "changelist") + query)
            assert answer.status_code == told_to(role, model, query), (model, query)
            assert "of others" not in answer.content.decode()
        for row in model._default_manager.all():
            if belongs(row) == others.pk:
                for page in ("change", "delete", "history"):
                    answer = browser.get(address(model, page, row.pk))
                    assert answer.status_code in {302, 403}, (model, page)
                    assert "of others" not in answer.content.decode()
    assert f"of {workspace.slug}" in browser.get(address(Task, "changelist")).content.decode()


def told_to(role: str, model: Any, query: str) -> int:
    """Return what a list answers to staff of this role: nothing of what is no workspace's."""
    page = site._registry[model]
    if not page.to_workspace or page.sees not in capabilities(role):  # type: ignore[attr-defined]
        return 403
    unknown = "workspace=" in query and WorkspaceFilter not in filters_of(model)
    return 400 if unknown else 200


def filters_of(model: Any) -> Any:
    return site._registry[model].get_list_filter(HttpRequest())


def belongs(row: Any) -> Any:
    return site._registry[type(row)].workspace_of(row)  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("model", WRITES)
def test_a_role_changes_here_what_it_may_change_elsewhere(
    workspace: Workspace, model: Any, role: str
) -> None:
    inhabited(workspace)
    browser = staff(workspace, role)
    row = workspace if model is Workspace else model.objects.filter(workspace=workspace).first()
    may = WRITES[model] in capabilities(role)
    page = browser.get(address(model, "change", row.pk))
    assert page.status_code == 200
    assert ('name="_save"' in page.content.decode()) == may
    if not may:
        for page_name in ("change", "delete"):
            answer = browser.post(address(model, page_name, row.pk), {"post": "yes"})
            assert answer.status_code == 403, page_name


@pytest.mark.parametrize("role", Role.values)
def test_a_role_takes_the_actions_that_it_may_take_elsewhere(
    workspace: Workspace, role: str
) -> None:
    inhabited(workspace)
    browser, delivery = staff(workspace, role), Delivery.objects.get()
    may = Capability.MANAGE_DELIVERIES in capabilities(role)
    page = browser.get(address(Delivery, "change", delivery.pk)).content.decode()
    assert ('value="cancel"' in page) == may
    do(browser, Delivery, "cancel", delivery)
    assert (Delivery.objects.get().state == "cancelled") == may


def test_a_role_in_one_workspace_is_none_in_another(
    workspace: Workspace, others: Workspace
) -> None:
    """Staff who manage one and read the other, and tick rows of both."""
    inhabited(workspace)
    browser = staff(workspace, Role.ADMIN)
    user = User.objects.get(pk=browser.session["_auth_user_id"])
    Membership.objects.create(workspace=others, user=user, role=Role.VIEWER)
    answer = do(browser, Delivery, "cancel", *Delivery.objects.all())
    assert sorted(text.partition(":")[0] for text in texts(answer)) == [
        *("Cancelled 1 delivery.", "Refused for 1 delivery"),
    ]
    cancelled = Delivery.objects.get(state="cancelled")
    assert cancelled.workspace_id == workspace.pk
    url = address(Task, "add")
    sent = filled(browser, url, title="t", workspace=others.pk, metadata="{}")
    assert "may not do that" in browser.post(url, sent).content.decode()
    assert Task.objects.filter(workspace=others).count() == 1


def test_no_task_is_put_into_a_workspace_that_one_does_not_see(
    workspace: Workspace, others: Workspace
) -> None:
    browser, url = staff(workspace), address(Task, "add")
    sent = filled(browser, url, title="t", workspace=others.pk, metadata="{}")
    browser.post(url, sent)
    assert Task.objects.filter(workspace=others).count() == 1
    asked = {"app_label": "tasks_app", "model_name": "task", "field_name": "workspace"}
    found = browser.get("/admin/autocomplete/", {**asked, "term": ""}).json()["results"]
    assert [one["text"] for one in found] == [workspace.slug]


def test_a_workspace_that_has_ended_is_nobody_s_but_the_operators(
    workspace: Workspace, browser: Client
) -> None:
    inhabited(workspace)
    theirs = staff(workspace, Role.OWNER)
    delete_workspace(workspace_id=workspace.pk, cause=factories.cause())
    assert theirs.get(address(Task, "changelist")).status_code == 403
    assert browser.get(address(Task, "changelist")).status_code == 200


def test_the_last_owner_stays(browser: Client, workspace: Workspace) -> None:
    member = workspace.memberships.get()
    url = address(Membership, "change", member.pk)
    page = browser.post(url, filled(browser, url, role="viewer")).content.decode()
    assert "owner" in page
    member.refresh_from_db()
    assert member.role == Role.OWNER
