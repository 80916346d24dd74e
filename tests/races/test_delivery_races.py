"""Two transactions at a delivery at once, each step forced: by locks, not by luck."""

import threading
from collections.abc import Callable

import pytest
from django.db import transaction

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.events.record import lock_heads
from tasks_app.exceptions import NotCancellable
from tasks_app.models import Delivery, Destination, Task, Workspace
from tests.support import factories
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
HELD = Outcome(
    verdict=Verdict.FAILED, status_code=503, phases={}, duration_ms=1.0, retry_after=60.0
)
NOWHERE = "http://127.0.0.1:9/"


class Holder:
    """A thread that does its work in a transaction and commits only when told."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._may_commit, self._done = threading.Event(), threading.Event()
        self._future = in_thread(lambda: self._run(work))
        assert self._done.wait(DEADLINE)

    def commit(self) -> None:
        """Let it commit and wait until it has."""
        self._may_commit.set()
        self._future.result(DEADLINE)

    def _run(self, work: Callable[[], object]) -> None:
        with transaction.atomic():
            work()
            self._done.set()
            assert self._may_commit.wait(DEADLINE)


def blocked(work: Callable[[], object]) -> Callable[[], None]:
    """Start work in a thread, wait until a lock holds it up; return how to wait for its end."""
    pids: list[int] = []

    def run() -> None:
        pids.append(backend_pid())
        work()

    future = in_thread(run)
    until(lambda: bool(pids), "the thread has a connection")
    until_blocked(pids[0])
    return lambda: future.result(DEADLINE)


def make(workspace: Workspace) -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def test_a_change_committed_while_its_forerunner_settles_gets_its_turn(
    workspace: Workspace,
) -> None:
    """The settle has ended v1 and looked for the next before v2 was there: v2 must see that."""
    there = to(workspace, NOWHERE)
    task = make(workspace)
    rows = lease(worker="w", wanted=1)
    settling = Holder(lambda: settle([Ended(rows[0], DONE)]))
    changed = blocked(lambda: change(task, "b"))
    settling.commit()
    changed()
    assert states(there) == ["succeeded", "pending"]


def test_a_settle_sees_the_change_that_was_committed_while_it_waited(
    workspace: Workspace,
) -> None:
    """v2 has been queued behind v1 before the settle may end v1: the settle must promote it."""
    there = to(workspace, NOWHERE)
    task = make(workspace)
    rows = lease(worker="w", wanted=1)
    changing = Holder(lambda: change(task, "b"))
    settled = blocked(lambda: settle([Ended(rows[0], DONE)]))
    changing.commit()
    settled()
    assert states(there) == ["succeeded", "pending"]
    assert factories.log(workspace)[-1].data["task"]["title"] == "b"


def test_settling_and_changing_the_same_task_never_wait_in_a_circle(workspace: Workspace) -> None:
    """The request holds the task's row and wants the head; the settle holds the head."""
    there = to(workspace, NOWHERE)
    task = make(workspace)
    rows = lease(worker="w", wanted=1)
    head = Holder(lambda: lock_heads([workspace.pk]))
    changed = blocked(lambda: change(task, "b"))
    settled = blocked(lambda: settle([Ended(rows[0], HELD)]))
    head.commit()
    changed()
    settled()
    assert states(there) == ["pending", "waiting"]
    assert Destination.objects.get().blocked_until is not None


def test_what_is_leased_while_a_cancel_waits_is_not_cancelled(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    row = Delivery.objects.get()
    head = Holder(lambda: lock_heads([workspace.pk]))

    def cancel() -> None:
        with pytest.raises(NotCancellable):
            cancel_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())

    cancelled = blocked(cancel)
    assert len(lease(worker="w", wanted=1)) == 1
    head.commit()
    cancelled()
    assert states(there) == ["leased"]


def test_a_lease_passes_over_what_is_being_cancelled(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    row = Delivery.objects.get()
    cancelling = Holder(
        lambda: cancel_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    )
    assert lease(worker="w", wanted=1) == []
    cancelling.commit()
    assert states(there) == ["cancelled"]


def test_a_lease_waits_for_no_lease(workspace: Workspace) -> None:
    to(workspace, NOWHERE)
    make(workspace)
    leasing = Holder(lambda: lease(worker="one", wanted=1))
    assert lease(worker="two", wanted=1) == []
    leasing.commit()
    assert Delivery.objects.get().leased_by == "one"


def test_a_revived_delivery_never_flies_beside_a_later_one(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, retry_schedule=[])
    task = make(workspace)
    failed = Outcome(verdict=Verdict.FAILED, status_code=500, phases={}, duration_ms=1.0)
    settle([Ended(lease(worker="w", wanted=1)[0], failed)])
    change(task, "b")
    dead = Delivery.objects.get(state="dead")
    reviving = Holder(
        lambda: retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    )
    (later,) = lease(worker="w", wanted=9)
    reviving.commit()
    assert lease(worker="w", wanted=9) == []
    settle([Ended(later, DONE)])
    assert [row.sequence for row in lease(worker="w", wanted=9)] == [1]
    assert states(there) == ["leased", "succeeded"]
