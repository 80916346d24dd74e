"""Workspaces: one's own by key and by login, opened, renamed, and ended without a trace."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from tasks_app.actions.api_key import create_key
from tasks_app.actions.invitation import invite
from tasks_app.actions.stream_ticket import create_ticket
from tasks_app.actions.workspace import create_workspace, delete_workspace
from tasks_app.delivery import erase
from tasks_app.delivery.sweep import sweep
from tasks_app.models import (
    Gate,
    LogFloor,
    LongQueue,
    Membership,
    Notice,
    Role,
    ScheduleOccurrence,
    Scope,
    Twin,
    Workspace,
)
from tests.integration.people.conftest import logged_in
from tests.support import factories
from tests.support.callers import Caller, api_key, caller
from tests.support.engine import deliver, to
from tests.support.factories import cause
from tests.support.imports import begin as begin_import
from tests.support.imports import imported
from tests.support.replays import replay
from tests.support.schedules import schedule
from tests.support.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)


def slugs(somebody: Caller) -> list[str]:
    return [one["slug"] for one in somebody.get("workspaces/").body["results"]]


def test_a_login_sees_all_of_its_workspaces_and_a_key_the_one(workspace: Workspace) -> None:
    mia = factories.user("mia")
    browser = Caller(client=logged_in(mia))
    assert slugs(browser) == []
    assert browser.get("tasks/").status == 403
    own = [create_workspace(slug=f"{workspace.slug}-{n}", name=str(n), owner=mia) for n in "ab"]
    member = Membership.objects.create(workspace=workspace, user=mia, role=Role.VIEWER)
    assert sorted(slugs(browser)) == sorted([*(one.slug for one in own), workspace.slug])
    assert slugs(Caller({"Authorization": f"Bearer {api_key(member)[0]}"})) == [workspace.slug]
    roles = {one["slug"]: one["role"] for one in browser.get("workspaces/").body["results"]}
    assert roles[workspace.slug] == "viewer"


def test_whoever_opens_a_workspace_owns_it(workspace: Workspace) -> None:
    mia = factories.user("mia")
    browser = Caller(client=logged_in(mia))
    slug = f"{workspace.slug}-new"
    made = browser.post("workspaces/", {"slug": slug, "name": "New"})
    assert (made.status, made.body["role"]) == (201, "owner")
    assert browser.post("tasks/", {"title": "x"}).body["number"] == 1
    assert browser.get(made.headers["Location"]).body["slug"] == slug
    event = factories.log(Workspace.objects.get(slug=slug))[0]
    assert (event.type, event.actor["name"]) == ("workspace_created", "mia")
    again = browser.post("workspaces/", {"slug": slug, "name": "Again"})
    assert (again.status, again.pointers) == (400, [("/slug", "unique")])
    with_key = caller(workspace, role=Role.ADMIN, scope=Scope.ADMIN)
    assert with_key.post("workspaces/", {"slug": f"{slug}2", "name": "2"}).status == 201
    for scope in (Scope.READ, Scope.WRITE):
        lesser = caller(workspace, scope=scope)
        assert lesser.post("workspaces/", {"slug": f"{slug}3", "name": "3"}).status == 403


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"slug": "Not-This", "name": "x"}, "/slug", "invalid_slug"),
        ({"slug": "-x", "name": "x"}, "/slug", "invalid_slug"),
        ({"slug": "x\n", "name": "x"}, "/slug", "invalid_slug"),
        ({"slug": "x" * 51, "name": "x"}, "/slug", "max_length"),
        ({"slug": "x", "name": " "}, "/name", "blank"),
        ({"slug": "x", "name": "x", "owner": "eve"}, "/owner", "unknown_field"),
        ({"slug": "x", "name": "x", "role": "owner"}, "/role", "read_only"),
    ],
)
def test_what_is_odd_is_refused_with_its_place(
    owner: Caller, body: Any, pointer: str, code: str
) -> None:
    answer = owner.post("workspaces/", body)
    assert answer.status == 400
    assert (pointer, code) in answer.pointers


def test_the_same_key_opens_one_workspace(workspace: Workspace) -> None:
    browser = Caller(client=logged_in(factories.user("mia")))
    body = {"slug": f"{workspace.slug}-once", "name": "Once"}
    first = browser.post("workspaces/", body, Idempotency_Key="k1")
    second = browser.post("workspaces/", body, Idempotency_Key="k1")
    assert (first.status, second.status) == (201, 201)
    assert first.raw == second.raw


def test_owners_rename_it_and_the_log_says_so(workspace: Workspace, owner: Caller) -> None:
    path = f"workspaces/{workspace.pk}/"
    assert owner.patch(path, owner.get(path).body).status == 200
    assert owner.patch(path, {"name": "Other"}).body["name"] == "Other"
    assert owner.patch(path, {"id": "x"}).pointers == [("/id", "read_only")]
    (event,) = factories.log(workspace)
    assert event.type == "workspace_changed"
    assert event.data["changes"] == {"name": [workspace.name, "Other"]}
    taken = owner.patch(path, {"slug": factories.workspace().slug})
    assert taken.pointers == [("/slug", "unique")]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_change_and_end_it(workspace: Workspace, role: str) -> None:
    somebody, path = caller(workspace, role=role), f"workspaces/{workspace.pk}/"
    assert somebody.get(path).body["role"] == role
    assert somebody.patch(path, {"name": "x"}).status == 403
    assert somebody.delete(path).status == 403


def test_another_workspace_is_not_there_by_key_or_by_login(owner: Caller) -> None:
    other = factories.workspace()
    path = f"workspaces/{other.pk}/"
    browser = Caller(client=logged_in(factories.user("mia")))
    for somebody in (owner, browser):
        assert somebody.get(path).status == 404
        assert somebody.patch(path, {"name": "x"}).status == 404
        assert somebody.delete(path).status == 404
    assert Workspace.objects.get(pk=other.pk).deleted_at is None


def test_a_deleted_workspace_is_closed_to_all_at_once(workspace: Workspace, owner: Caller) -> None:
    alice = Caller(client=logged_in(factories.user("alice")))
    with sink() as out:
        to(workspace, out.url)
        assert owner.post("tasks/", {"title": "waits"}).status == 201
        assert owner.delete(f"workspaces/{workspace.pk}/").status == 204
        deliver()
        sweep()
        deliver()
        assert out.came == []
    for path in ("tasks/", f"workspaces/{workspace.pk}/", "workspaces/"):
        assert owner.get(path).status == 401
    assert slugs(alice) == []
    assert alice.get(f"workspaces/{workspace.pk}/").status == 404
    assert alice.get("tasks/", X_Workspace=workspace.slug).status == 404
    assert "workspace_deleted" in [event.type for event in factories.log(workspace)]


def _filled() -> Workspace:
    """Return a workspace that has something in every table, delivered and waiting."""
    made = factories.workspace()
    member = factories.member(made)
    create_key(membership_id=member.pk, name="k", scope="read", cause=cause())
    create_ticket(membership_id=member.pk)
    invite(workspace_id=made.pk, email="olga@example.org", role="member", cause=cause())
    somebody = caller(made)
    with sink() as out:
        to(made, out.url)
        for number in range(3):
            body = {"title": str(number)}
            assert somebody.post("tasks/", body, Idempotency_Key=f"k{number}").status == 201
        deliver()
        assert somebody.post("tasks/", {"title": "waits"}).status == 201
    _fill_what_comes_by_itself(made)
    return made


def _fill_what_comes_by_itself(made: Workspace) -> None:
    """Leave what schedules, imports, replays, retention and the engine keep."""
    imported(made, b"title,status\nfine,open\nodd,none")
    begin_import(made, b"title\nwaits")
    task, there = made.tasks.latest("number"), made.destinations.get()
    ScheduleOccurrence.objects.create(schedule=schedule(made), at=timezone.now(), task_id=task.pk)
    replay(there)
    of_queue = {"destination_id": there.pk, "task_id": task.pk}
    Twin.objects.create(**of_queue, remote_id="7", updated_at=timezone.now())
    LongQueue.objects.create(**of_queue)
    Gate.objects.create(destination_id=there.pk)
    Notice.objects.create(workspace_id=made.pk, kind="recovered", destination_id=there.pk)
    LogFloor.objects.create(workspace_id=made.pk)


def _rows(of: Workspace) -> dict[str, int]:
    """Return how many rows each table has of a workspace."""
    counted = {}
    with connection.cursor() as cursor:
        for table, belongs in erase.STEPS:
            cursor.execute(f"SELECT count(*) FROM {table} t {belongs}", [of.pk])
            counted[table] = cursor.fetchone()[0]
    return counted


def _all_rows() -> dict[str, int]:
    models = {
        model._meta.db_table: model for model in apps.get_app_config("tasks_app").get_models()
    }
    return {table: models[table]._default_manager.count() for table, _ in erase.STEPS}


def test_nothing_of_a_deleted_workspace_stays_and_nothing_of_another_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(erase, "BATCH", 2)
    staying, going = _filled(), _filled()
    before, doomed = _rows(staying), _rows(going)
    assert [table for table, rows in doomed.items() if not rows] == []
    delete_workspace(workspace_id=going.pk, cause=cause())
    assert erase.erase_some() == 0  # what was under way may still be settled
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workspace SET deleted_at = deleted_at - interval '11 minutes' WHERE id = %s",
            [going.pk],
        )
    while erase.erase_some():
        pass
    assert _rows(staying) == before == _all_rows()
    again = create_workspace(slug=going.slug, name="Again", owner=factories.user())
    assert again.pk != going.pk


def test_every_table_of_ours_is_erased() -> None:
    """A new table must say how its rows belong to a workspace."""
    models = apps.get_app_config("tasks_app").get_models()
    tables = {model._meta.db_table for model in models} - {"process_beat", "metric_report"}
    assert {table for table, _ in erase.STEPS} == tables
    with connection.cursor() as cursor:
        for table, belongs in erase.STEPS:
            cursor.execute(
                erase.ERASE.format(table=table, belongs=belongs, batch=1),
                ["00000000-0000-0000-0000-000000000000"],
            )
