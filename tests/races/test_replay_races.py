"""Replays and everybody else at once, each step forced by a lock."""

import threading

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from tasks_app.actions.replay import cancel_replay
from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import replaying
from tasks_app.delivery.lease import lease
from tasks_app.delivery.replaying import advance
from tasks_app.delivery.settle import Ended, settle
from tasks_app.events.record import lock_heads
from tasks_app.models import Delivery, Destination, Event, Replay, Task, Workspace
from tests.races.test_delivery_races import Holder, blocked
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.replays import replay, walk
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)


def make(workspace: Workspace, title: str = "t") -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def settle_all() -> None:
    while rows := lease(worker="w", wanted=99):
        settle([Ended(row, DONE) for row in rows])


@pytest.fixture
def there(workspace: Workspace) -> Destination:
    """Return a destination that has had three events of a task."""
    made = to(workspace, NOWHERE)
    task = make(workspace, "a")
    change(task, "b")
    change(task, "c")
    settle_all()
    return made


def test_two_sweeps_never_take_the_same_step(there: Destination) -> None:
    job = replay(there)
    stepping = Holder(lambda: advance(job.pk))
    assert advance(job.pk) is False  # passes over it and does not wait
    stepping.commit()
    assert walk(job).made == 3
    assert states(there)[3:] == ["pending", "waiting", "waiting"]


def test_a_change_that_commits_while_a_step_waits_is_before_it_and_one_after_is_behind(
    workspace: Workspace, there: Destination
) -> None:
    job = replay(there)
    task = Task.objects.get()
    changing = Holder(lambda: change(task, "d"))
    stepped = blocked(lambda: advance(job.pk))
    changing.commit()
    stepped()
    rows = Delivery.objects.unfinished().order_by("sequence")
    assert [(row.replay != "", row.state) for row in rows] == [
        (False, "pending"),
        *[(True, "waiting")] * 3,
    ]
    settle_all()
    again = replay(there, states=["succeeded"])
    stepping = Holder(lambda: advance(again.pk))
    changed = blocked(lambda: change(task, "e"))
    stepping.commit()
    changed()
    rows = Delivery.objects.unfinished().order_by("sequence")
    assert [row.replay != "" for row in rows] == [*[True] * 4, False]


def test_what_ends_while_a_step_waits_is_replayed_and_not_skipped(
    workspace: Workspace, there: Destination
) -> None:
    make(workspace, "open")
    rows = lease(worker="w", wanted=9)
    job = replay(there)
    ending = Holder(lambda: settle([Ended(row, DONE) for row in rows]))
    stepped = blocked(lambda: advance(job.pk))
    ending.commit()
    stepped()
    job.refresh_from_db()
    assert (job.made, job.skipped) == (4, 0)


def test_a_step_whose_connection_is_cut_has_not_happened(there: Destination) -> None:
    """The kill comes with all written and nothing committed: the next step does the same."""
    job = replay(there)
    written, pids = threading.Event(), []

    def step() -> None:
        with transaction.atomic():
            pids.append(backend_pid())
            advance(job.pk)
            assert Delivery.objects.filter(replay=str(job.pk)).count() == 3
            written.set()
            lock_heads([job.workspace_id])  # held already; then it waits for the end
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")

    future = in_thread(step)
    assert written.wait(DEADLINE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pids[0]])
    with pytest.raises((OperationalError, psycopg.OperationalError)):
        future.result(DEADLINE)
    job.refresh_from_db()
    assert (job.made, job.cursor) == (0, job.from_seq - 1)
    assert len(states(there)) == 3
    assert not Event.objects.filter(type="task_sync_scheduled").exists()
    assert walk(job).made == 3
    assert [row.sequence for row in Delivery.objects.order_by("sequence")] == [1, 2, 3, 4, 5, 6]


def test_a_replay_that_is_cancelled_while_a_step_runs_makes_no_more(
    workspace: Workspace, there: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(workspace, "another task")
    settle_all()
    monkeypatch.setattr(replaying, "STEP", 1)
    job = replay(there)
    stepping = Holder(lambda: advance(job.pk))
    cancelled = blocked(
        lambda: cancel_replay(
            workspace_id=workspace.pk, replay_id=job.pk, cancel_waiting=True, cause=cause()
        )
    )
    stepping.commit()
    cancelled()
    walk(job)
    assert (job.state, job.made) == ("cancelled", 3)
    assert states(there)[4:] == ["cancelled"] * 3


def test_a_delivery_that_is_leased_while_its_replay_is_cancelled_flies_on(
    workspace: Workspace, there: Destination
) -> None:
    job = walk(replay(there))
    cancel_replay(workspace_id=workspace.pk, replay_id=job.pk, cancel_waiting=True, cause=cause())
    leasing = Holder(lambda: lease(worker="w", wanted=1))
    pids: list[int] = []

    def step() -> None:
        pids.append(backend_pid())
        advance(job.pk)

    future = in_thread(step)
    until(lambda: bool(pids), "the thread has a connection")
    until_blocked(pids[0])
    leasing.commit()
    future.result(DEADLINE)
    assert states(there)[3:] == ["leased", "cancelled", "cancelled"]
    job.refresh_from_db()
    assert job.cancels_deliveries
    (row,) = lease_again(job)
    settle([row])
    walk(job)
    assert states(there)[3:] == ["succeeded", "cancelled", "cancelled"]
    assert not job.cancels_deliveries


def lease_again(job: Replay) -> list[Ended]:
    """Give the lease that flies back, and take it once more to have its claim."""
    Delivery.objects.filter(replay=str(job.pk), state="leased").update(
        state="pending", claim_id=None
    )
    return [Ended(row, DONE) for row in lease(worker="w", wanted=1)]


def test_two_replays_of_one_destination_do_not_mix_within_a_task(there: Destination) -> None:
    """The second finds all under way and leaves it alone."""
    one, two = replay(there), replay(there)
    stepping = Holder(lambda: advance(one.pk))
    stepped = blocked(lambda: advance(two.pk))
    stepping.commit()
    stepped()
    two.refresh_from_db()
    assert (two.made, two.skipped) == (0, 3)
    assert len(states(there)) == 6
