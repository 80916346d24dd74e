"""However long a queue is: what ends in it ends a batch at a time, and nothing old goes out."""

from typing import Any

import pytest
from django.db import connection

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.task import delete_task
from tasks_app.delivery.belts import give_stuck_turns
from tasks_app.delivery.lease import lease
from tasks_app.delivery.long_queues import end_some
from tasks_app.delivery.settle import Ended, settle
from tasks_app.delivery.sweep import clear_up
from tasks_app.models import Delivery, Destination, Event, LongQueue, Task, Workspace
from tests.support.backlog import backlog
from tests.support.engine import is_due, states, to
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

pytestmark = pytest.mark.django_db(transaction=True)
BATCH = 500  # of one queue, in 0008_latest.sql
ALL = 1000  # of one call


def crowded(workspace: Workspace, count: int, **fields: Any) -> tuple[Destination, Task]:
    """Return a destination that wants the newest only since now, and what waits there of a task."""
    task = make(workspace)
    there = to(workspace, NOWHERE, **fields)
    backlog(there, count, task=task.pk)
    Destination.objects.filter(pk=there.pk).update(mode="latest")
    return there, task


def ended(of: Destination, state: str = "superseded") -> int:
    return Delivery.objects.filter(destination=of, state=state).count()


def test_a_change_thins_out_a_batch_and_the_sweep_the_rest(workspace: Workspace) -> None:
    there, task = crowded(workspace, 1300)
    before = Event.objects.count()
    change(task, "newest")
    assert ended(there) == BATCH
    assert Event.objects.count() == before + 1 + BATCH
    clear_up()
    newest = rows(there)[-1]
    assert states(there) == [*["superseded"] * 1300, "pending"]
    assert len(told_of(workspace, "task_sync_superseded")) == 1300
    assert {row.superseded_by for row in rows(there)[:-1]} == {newest.pk}
    assert not LongQueue.objects.exists()


def test_nothing_old_goes_out_while_the_rest_is_still_to_be_thinned_out(
    workspace: Workspace,
) -> None:
    there, task = crowded(workspace, 1300)
    change(task, "1")
    assert not is_due()
    assert lease(worker="w", wanted=9) == []
    give_stuck_turns()  # thins out, too, but lets nothing go
    assert ended(there) == 2 * BATCH
    assert lease(worker="w", wanted=9) == []
    change(task, "2")
    (row,) = lease(worker="w", wanted=9)
    assert row.event_seq == rows(there)[-1].event_seq


def test_a_settle_thins_out_a_batch_and_the_sweep_the_rest(workspace: Workspace) -> None:
    there, _ = crowded(workspace, 1300)
    assert settled(DONE) == 1
    assert ended(there) == BATCH
    assert lease(worker="w", wanted=9) == []
    assert (end_some(), end_some(), end_some()) == (1, 1, 0)
    (row,) = lease(worker="w", wanted=9)
    assert row.sequence == 1300


def test_one_call_ends_no_more_than_a_thousand_in_however_many_queues(
    workspace: Workspace,
) -> None:
    tasks = [make(workspace) for _ in range(3)]
    there = to(workspace, NOWHERE, max_concurrency=100)
    for task in tasks:
        backlog(there, 600, task=task.pk)
    Destination.objects.filter(pk=there.pk).update(mode="latest")
    assert settled(DONE) == 3
    assert ended(there) == ALL
    assert lease(worker="w", wanted=9) == []
    clear_up()
    assert ended(there) == 3 * 598
    assert len(lease(worker="w", wanted=9)) == 3


def test_a_long_queue_whose_destination_wants_all_again_goes_on(workspace: Workspace) -> None:
    there, _ = crowded(workspace, 1300)
    settled(DONE)
    Destination.objects.filter(pk=there.pk).update(mode="every")
    clear_up()
    (row,) = lease(worker="w", wanted=9)
    assert row.sequence == BATCH + 2  # one was sent
    assert not LongQueue.objects.exists()


def chained(workspace: Workspace, count: int, **fields: Any) -> tuple[Destination, Destination]:
    """Return a destination that has displaced so many, one by one, and one that comes after it."""
    task = make(workspace)
    first = latest(workspace, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk, **fields)
    backlog(first, count, task=task.pk)
    backlog(second, count, task=task.pk, state="waiting")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery d SET event_seq = a.event_seq, behind = a.id FROM delivery a"
            " WHERE d.destination_id = %s AND a.destination_id = %s AND a.sequence = d.sequence",
            [second.pk, first.pk],
        )
        cursor.execute(
            "UPDATE delivery d SET state = 'superseded', ended_at = statement_timestamp(),"
            " superseded_by = n.id FROM delivery n WHERE d.destination_id = %s"
            " AND n.destination_id = %s AND n.sequence = d.sequence + 1",
            [first.pk, first.pk],
        )
        cursor.execute(
            "UPDATE delivery SET state = 'pending' WHERE state = 'waiting' AND destination_id = %s",
            [first.pk],
        )
    return first, second


def test_a_change_touches_nothing_of_what_comes_behind_what_was_displaced(
    workspace: Workspace,
) -> None:
    """Or each change would cost as much as there were changes before it."""
    first = latest(workspace, name="first")
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    task = make(workspace)
    for number in range(1, 5):
        change(task, str(number))
    assert [row.behind for row in rows(second)] == [row.pk for row in rows(first)]
    assert states(second) == ["waiting"] * 5


def test_each_of_many_behind_what_was_displaced_goes_once_the_newest_has_succeeded(
    workspace: Workspace,
) -> None:
    """It is found in batches, however long the row of those that displaced one another is."""
    first, second = chained(workspace, 1300)
    assert settled(DONE) == 1
    assert LongQueue.objects.count() == 1
    clear_up()
    for sequence in range(1, 6):
        (row,) = lease(worker="w", wanted=9)
        assert (row.destination_id, row.sequence) == (second.pk, sequence)
        settle([Ended(row, DONE)])
    assert rows(first)[1].superseded_by == rows(first)[-1].pk


def test_of_many_behind_one_that_dies_a_batch_is_cancelled_at_once_and_the_rest_by_the_sweep(
    workspace: Workspace,
) -> None:
    first, second = chained(workspace, 2600)
    assert settled(FAILED) == 1
    assert ended(second, "cancelled") <= ALL
    clear_up()
    assert ended(second, "cancelled") == 2600
    assert len(told_of(workspace, "task_sync_cancelled")) == 2600
    assert set(Delivery.objects.filter(destination=second).values_list("behind", flat=True)) == {
        rows(first)[-1].pk
    }


def test_a_destination_that_wants_the_newest_behind_another_gets_only_that(
    workspace: Workspace,
) -> None:
    first, second = chained(workspace, 1300, mode="latest")
    assert settled(DONE) == 1
    clear_up()
    (row,) = lease(worker="w", wanted=9)
    assert (row.destination_id, row.sequence) == (second.pk, 1300)
    assert ended(second) == 1299
    assert ended(first, "succeeded") == 1


def test_what_leaves_out_the_newest_event_still_goes_behind_it(workspace: Workspace) -> None:
    for mode, sent in (("every", [1, 2]), ("latest", [2])):
        first = latest(workspace, name=f"first {mode}")
        second = to(
            workspace,
            NOWHERE,
            name=f"second {mode}",
            after=first.pk,
            mode=mode,
            events=["task_created", "task_updated"],
        )
        task = make(workspace)
        change(task, "1")
        delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
        assert settled(DONE) >= 1
        came = []
        while held := lease(worker="w", wanted=9):
            came += [row.sequence for row in held if row.destination_id == second.pk]
            settle([Ended(row, DONE) for row in held])
        assert came == sent, mode
        Destination.objects.all().update(deleted_at="2020-01-01T00:00:00Z")


def test_what_is_retried_behind_something_displaced_waits_for_what_went_instead(
    workspace: Workspace,
) -> None:
    first = latest(workspace, name="first")
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    task = make(workspace)
    change(task, "1")
    old = rows(second)[0]
    cancel_delivery(workspace_id=workspace.pk, delivery_id=old.pk, cause=cause())
    again = retry_delivery(workspace_id=workspace.pk, delivery_id=old.pk, cause=cause())
    assert (again.state, again.behind) == ("waiting", rows(first)[1].pk)
