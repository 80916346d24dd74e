"""A change, its event and its deliveries are on disk together, or none of them is."""

import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.events.catalogue import EventType
from tasks_app.events.record import NewEvent, record_event
from tasks_app.events.wire import event_to_wire
from tasks_app.exceptions import Invalid, NotFound, StaleVersion
from tasks_app.models import Delivery, DestinationState, Event, Task, TaskSync, Workspace
from tests.support import factories
from tests.support.factories import cause

pytestmark = pytest.mark.django_db


def states(workspace: Workspace) -> list[tuple[int, int, str]]:
    rows = Delivery.objects.in_workspace(workspace.pk).order_by("destination_id", "sequence")
    return list(rows.values_list("event_seq", "sequence", "state"))


def test_a_created_task_is_one_event_and_a_delivery_for_each_destination(
    workspace: Workspace,
) -> None:
    for _ in range(2):
        factories.destination(workspace)
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    (event,) = factories.log(workspace)
    wire = event_to_wire(event)
    assert (wire["seq"], wire["type"], wire["task"]["number"]) == (1, "task_created", 1)
    assert (wire["task"]["sync"], task.sync_state, task.number) == ("scheduled", "scheduled", 1)
    assert states(workspace) == [(1, 1, "pending"), (1, 1, "pending")]


def test_a_task_without_destinations_has_nothing_to_sync(workspace: Workspace) -> None:
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    assert task.sync_state == "none"
    assert TaskSync.objects.get(pk=task.pk).state == "none"


def test_later_changes_of_a_task_wait_behind_the_first(workspace: Workspace) -> None:
    factories.destination(workspace)
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    change = {"title": "Two", "labels": ["a"]}
    update_task(workspace_id=workspace.pk, task_id=task.pk, fields=change, cause=cause())
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    assert states(workspace) == [(1, 1, "pending"), (2, 2, "waiting"), (3, 3, "waiting")]


def test_other_tasks_do_not_wait(workspace: Workspace) -> None:
    factories.destination(workspace)
    for title in ("One", "Two"):
        create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())
    assert [state for *_, state in states(workspace)] == ["pending", "pending"]


def test_an_update_tells_what_changed_and_raises_the_version(workspace: Workspace) -> None:
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    change = {"title": "Two", "description": ""}
    update_task(workspace_id=workspace.pk, task_id=task.pk, fields=change, cause=cause())
    wire = event_to_wire(factories.log(workspace)[-1])
    assert wire["changes"] == {"title": ["One", "Two"]}
    assert wire["task"]["version"] == 2


def test_a_change_that_changes_nothing_is_not_an_event(workspace: Workspace) -> None:
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    same = {"title": "One"}
    updated = update_task(workspace_id=workspace.pk, task_id=task.pk, fields=same, cause=cause())
    assert updated.version == 1
    assert len(factories.log(workspace)) == 1


def test_a_stale_version_changes_nothing(workspace: Workspace) -> None:
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    at: dict[str, Any] = {"workspace_id": workspace.pk, "task_id": task.pk, "cause": cause()}
    update_task(**at, fields={"title": "Two"}, if_version=1)
    with pytest.raises(StaleVersion):
        update_task(**at, fields={"title": "Three"}, if_version=1)
    with pytest.raises(StaleVersion):
        delete_task(**at, if_version=1)
    assert Task.objects.get(pk=task.pk).title == "Two"
    assert len(factories.log(workspace)) == 2


def test_a_deleted_task_leaves_its_log(workspace: Workspace) -> None:
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    assert not Task.objects.filter(pk=task.pk).exists()
    assert not TaskSync.objects.filter(pk=task.pk).exists()
    assert [event.type for event in factories.log(workspace)] == ["task_created", "task_deleted"]


def test_a_task_of_another_workspace_does_not_exist(workspace: Workspace) -> None:
    theirs = factories.workspace()
    task = create_task(workspace_id=theirs.pk, fields={"title": "Theirs"}, cause=cause())
    at: dict[str, Any] = {"workspace_id": workspace.pk, "task_id": task.pk, "cause": cause()}
    with pytest.raises(NotFound):
        update_task(**at, fields={"title": "Mine"})
    with pytest.raises(NotFound):
        delete_task(**at)
    assert Task.objects.get(pk=task.pk).title == "Theirs"


def test_a_taken_external_id_is_refused_with_its_pointer(workspace: Workspace) -> None:
    fields = {"title": "One", "external_id": "E-1"}
    create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    with pytest.raises(Invalid) as refusal:
        create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    assert refusal.value.errors[0].pointer == "/external_id"
    create_task(workspace_id=factories.workspace().pk, fields=fields, cause=cause())
    assert len(factories.log(workspace)) == 1


def test_what_rolls_back_leaves_no_event_no_delivery_and_no_hole(workspace: Workspace) -> None:
    factories.destination(workspace)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        create_task(workspace_id=workspace.pk, fields={"title": "Gone"}, cause=cause())
        raise ZeroDivisionError
    create_task(workspace_id=workspace.pk, fields={"title": "Kept"}, cause=cause())
    assert [event.seq for event in factories.log(workspace)] == [1]
    assert states(workspace) == [(1, 1, "pending")]


def test_a_filter_decides_which_events_a_destination_hears_of(workspace: Workspace) -> None:
    factories.destination(workspace, events=["task_deleted"])
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    assert states(workspace) == [(2, 1, "pending")]


def test_a_paused_destination_drops_nothing_and_a_deleted_one_hears_nothing(
    workspace: Workspace,
) -> None:
    factories.destination(workspace, state=DestinationState.PAUSED)
    gone = factories.destination(workspace)
    gone.deleted_at = gone.created_at
    gone.save()
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    assert len(states(workspace)) == 1


def test_outcomes_do_not_breed_outcomes(workspace: Workspace) -> None:
    factories.destination(workspace)
    with transaction.atomic():
        for kind in set(EventType) - {"task_created", "task_updated", "task_deleted", "ping"}:
            record_event(NewEvent(workspace_id=workspace.pk, type=kind, cause=cause(), data={}))
    assert states(workspace) == []


def test_urgent_tasks_go_first(workspace: Workspace) -> None:
    factories.destination(workspace)
    for priority in ("urgent", "high", "normal", "low"):
        fields = {"title": priority, "priority": priority}
        create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    ranks = Delivery.objects.in_workspace(workspace.pk).order_by("event_seq")
    assert list(ranks.values_list("rank", flat=True)) == [0, 0, 1, 1]


def test_an_event_is_final(workspace: Workspace) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    with pytest.raises(Exception, match="is final"), transaction.atomic():
        Event.objects.in_workspace(workspace.pk).update(type="task_deleted")


def test_an_event_names_its_actor_and_request(workspace: Workspace) -> None:
    told = cause(request_id="req-1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=told)
    (event,) = factories.log(workspace)
    assert event_to_wire(event)["actor"] == {"kind": "user", "id": "1", "name": "alice"}
    assert (event.request_id, event.traceparent) == ("req-1", told.traceparent)


@pytest.mark.django_db(transaction=True)
def test_an_event_cannot_be_recorded_outside_its_transaction(workspace: Workspace) -> None:
    event = NewEvent(workspace_id=workspace.pk, type=EventType.PING, cause=cause(), data={})
    with pytest.raises(RuntimeError, match="inside the transaction"):
        record_event(event)


def test_an_unknown_workspace_has_no_log(db: None) -> None:
    event = NewEvent(workspace_id=uuid.uuid4(), type=EventType.PING, cause=cause(), data={})
    with pytest.raises(RuntimeError, match="head"), transaction.atomic():
        record_event(event)


def test_creating_a_task_takes_two_statements_beside_begin_and_commit(
    workspace: Workspace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    factories.destination(workspace)
    with django_assert_num_queries(4):  # the savepoint of this test's own transaction is two
        create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    assert connection.in_atomic_block
