"""Mode latest: of several states of a task that wait, only the newest is sent."""

import pytest
from django.db import connection, transaction

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.destination import change_destination
from tasks_app.actions.task import delete_task
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.exceptions import NotRetryable
from tasks_app.models import Delivery, Destination, Workspace
from tests.support.callers import Caller, caller
from tests.support.engine import deliver, states, to
from tests.support.factories import cause
from tests.support.latest import (
    DONE,
    FAILED,
    NOWHERE,
    change,
    latest,
    make,
    rows,
    settled,
    told_of,
)
from tests.support.replays import replay, walk
from tests.support.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)


def test_only_the_newest_of_what_waits_is_sent(workspace: Workspace) -> None:
    with sink() as here:
        there = latest(workspace, here.url)
        task = make(workspace)
        other = make(workspace, "other")
        for number in range(1, 4):
            change(task, str(number))
        deliver()
    assert {came.data["task"]["title"] for came in here.came} == {"3", "other"}
    assert states(there) == ["superseded", "succeeded", "superseded", "superseded", "succeeded"]
    assert {one.task_id for one in rows(there) if one.state == "succeeded"} == {task.pk, other.pk}


def test_every_state_goes_to_others_of_the_workspace(workspace: Workspace) -> None:
    there, every = latest(workspace), to(workspace, NOWHERE, name="every")
    task = make(workspace)
    change(task, "1")
    assert states(there) == ["superseded", "pending"]
    assert states(every) == ["pending", "waiting"]


def test_the_log_tells_of_each_that_was_displaced_and_by_what(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    change(task, "1")
    older, newer = rows(there)
    assert older.superseded_by == newer.pk
    (event,) = told_of(workspace, "task_sync_superseded")
    assert event.data["delivery"]["id"] == str(older.pk)
    assert event.data["delivery"]["state"] == "superseded"
    assert event.data["task"]["title"] == "1"
    assert event.data["task"]["sync"] == "scheduled"
    assert event.seq == newer.event_seq + 1
    assert event.task_id == task.pk


def test_the_request_that_displaced_is_on_the_event(workspace: Workspace, api: Caller) -> None:
    latest(workspace)
    task = api.post("tasks/", {"title": "a"}).body
    answer = api.call("PATCH", f"tasks/{task['id']}/", {"title": "b"})
    (event,) = told_of(workspace, "task_sync_superseded")
    assert event.request_id == answer.headers["X-Request-ID"]


def test_a_retry_that_waits_gives_way_and_the_newer_goes_at_once(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    settled(FAILED)
    assert lease(worker="w", wanted=9) == []  # its retry is not due yet
    changed = change(task, "1")
    assert states(there) == ["superseded", "pending"]
    assert changed.sync_state == "scheduled"
    (row,) = lease(worker="w", wanted=9)
    assert row.sequence == 2


def test_what_fails_while_a_newer_state_waits_is_not_tried_again(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    rows_ = lease(worker="w", wanted=9)
    change(task, "1")
    change(task, "2")
    assert states(there) == ["leased", "superseded", "waiting"]
    settle([Ended(rows_[0], FAILED)])
    assert states(there) == ["superseded", "superseded", "pending"]
    kinds = [event.type for event in told_of(workspace, "task_sync_retrying")]
    assert kinds == ["task_sync_retrying"]
    assert len(told_of(workspace, "task_sync_superseded")) == 2


def test_what_a_dead_worker_may_have_sent_is_sent_until_its_outcome_is_known(
    workspace: Workspace,
) -> None:
    there = latest(workspace)
    task = make(workspace)
    lease(worker="dies", wanted=9)
    with connection.cursor() as cursor:  # as take_over leaves it
        cursor.execute(
            "UPDATE delivery SET state = 'pending', claim_id = NULL, leased_by = '',"
            " lease_expires_at = NULL"
        )
    change(task, "1")
    change(task, "2")
    assert states(there) == ["pending", "superseded", "waiting"]
    assert settled(DONE) == 1
    assert states(there) == ["succeeded", "superseded", "pending"]


def test_the_newest_has_the_place_in_the_line_of_what_it_displaced(workspace: Workspace) -> None:
    """Or a task that changes all the time would never have its turn."""
    there = latest(workspace, max_concurrency=1)
    busy = make(workspace, "busy", priority="urgent")
    make(workspace, "quiet", priority="urgent")
    first = rows(there)[0].next_attempt_at
    for number in range(5):
        change(busy, f"busy {number}", priority="low")
    (row,) = lease(worker="w", wanted=9)
    assert row.task_id == busy.pk
    assert Delivery.objects.get(pk=row.delivery_id).next_attempt_at == first


def test_a_deletion_is_the_newest_state(workspace: Workspace) -> None:
    with sink() as here:
        there = latest(workspace, here.url)
        task = make(workspace)
        change(task, "1")
        delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
        deliver()
    assert [came.data["type"] for came in here.came] == ["task_deleted"]
    assert states(there) == ["superseded", "superseded", "succeeded"]


def test_pings_displace_nothing(workspace: Workspace, api: Caller) -> None:
    there = latest(workspace)
    make(workspace)
    for _ in range(2):
        assert api.post(f"destinations/{there.pk}/test/").status == 202
    assert states(there) == ["pending", "pending", "pending"]


def test_several_changes_in_one_transaction_are_one_state(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    settled(DONE)
    with transaction.atomic():
        for number in range(3):
            change(task, str(number + 1))
    assert states(there) == ["succeeded", "superseded", "superseded", "pending"]


def test_what_waits_when_the_mode_is_changed_is_thinned_out_in_its_turn(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    task = make(workspace)
    for number in range(1, 5):
        change(task, str(number))
    set_mode(there, "latest")
    assert settled(DONE) == 1
    assert states(there) == ["succeeded", *["superseded"] * 3, "pending"]
    set_mode(there, "every")
    change(task, "b")
    assert states(there)[-2:] == ["pending", "waiting"]


def test_an_old_state_is_not_retried_by_hand_while_a_newer_one_is_under_way(
    workspace: Workspace,
) -> None:
    there = latest(workspace, retry_schedule=[])
    task = make(workspace)
    settled(FAILED)
    change(task, "1")
    dead = rows(there)[0]
    with pytest.raises(NotRetryable, match="newer state"):
        retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    settled(DONE)
    retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    assert states(there) == ["pending", "succeeded"]
    change(task, "2")
    assert states(there) == ["superseded", "succeeded", "pending"]


def test_a_replay_brings_the_newest_state_of_each_task_and_counts_so(workspace: Workspace) -> None:
    with sink() as here:
        there = latest(workspace, here.url)
        task = make(workspace)
        deliver()
        for number in range(3):
            change(task, str(number))
            deliver()
        here.came.clear()
        begun = replay(there)
        assert begun.total == 1
        assert walk(begun).made == 1
        deliver()
    assert [came.data["task"]["title"] for came in here.came] == ["2"]


def test_a_replay_of_something_old_displaces_nothing_newer(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    settled(DONE)
    change(task, "1")
    old = walk(replay(there, to_seq=rows(there)[0].event_seq))
    assert (old.made, old.skipped) == (0, 1)
    assert states(there) == ["succeeded", "pending"]


def test_a_replay_takes_the_place_of_what_is_older_and_waits(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    settled(DONE)
    change(task, "1")
    newest = rows(there)[1]
    cancel_delivery(workspace_id=workspace.pk, delivery_id=newest.pk, cause=cause())
    Delivery.objects.filter(sequence=1).update(state="pending", ended_at=None)
    walk(replay(there, states=["cancelled"]))
    assert states(there) == ["superseded", "cancelled", "pending"]
    assert rows(there)[2].message_id == newest.message_id


def test_the_api_takes_and_shows_the_mode(api: Caller) -> None:
    made = api.post("destinations/", {"name": "a", "url": NOWHERE, "mode": "latest"})
    assert (made.status, made.body["mode"]) == (201, "latest")
    at = f"destinations/{made.body['id']}/"
    assert api.call("PATCH", at, {"mode": "every"}).body["mode"] == "every"
    refused = api.call("PATCH", at, {"mode": "newest"})
    assert (refused.status, refused.pointers) == (400, [("/mode", "invalid_choice")])
    last = api.get("events/?limit=500").body["results"][-1]
    assert (last["type"], last["changed"]) == ("destination_changed", ["mode"])


def test_reconciliation_lists_what_was_superseded(workspace: Workspace, api: Caller) -> None:
    there = latest(workspace)
    task = make(workspace)
    change(task, "1")
    settled(DONE)
    (window,) = api.get(f"destinations/{there.pk}/deliveries/digest/").body["results"]
    assert window["never"] == [{"sequence": 1, "state": "superseded"}]
    assert window["delivered"] == 1
    older, newer = api.get(f"destinations/{there.pk}/deliveries/").body["results"]
    assert older["superseded_by"] == newer["id"]


def set_mode(there: Destination, mode: str) -> None:
    change_destination(
        workspace_id=there.workspace_id,
        destination_id=there.pk,
        fields={"mode": mode},
        cause=cause(),
    )
