"""Two transactions at a chain at once, each step forced by a lock: none is left behind."""

from collections.abc import Callable

import pytest

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.destination import change_destination, delete_destination
from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import ErrorCode, Outcome, Verdict
from tasks_app.delivery.clear import cancel_of_deleted
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.events.record import lock_heads
from tasks_app.exceptions import Invalid
from tasks_app.models import Delivery, Destination, Task, Workspace
from tests.races.test_delivery_races import Holder, blocked
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
FAILED = Outcome(
    verdict=Verdict.FAILED,
    status_code=400,
    error=ErrorCode.HTTP_4XX,
    phases={},
    duration_ms=1.0,
)


@pytest.fixture
def chain(workspace: Workspace) -> tuple[Destination, Destination]:
    first = to(workspace, NOWHERE, name="first", retry_schedule=[])
    return first, to(workspace, NOWHERE, name="second", after=first.pk)


def make(workspace: Workspace) -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def settling(outcome: Outcome) -> Callable[[], object]:
    """Lease what is due, and return how to settle it."""
    rows = lease(worker="w", wanted=9)
    assert rows
    return lambda: settle([Ended(row, outcome) for row in rows])


def set_after(destination: Destination, after: Destination | None) -> None:
    change_destination(
        workspace_id=destination.workspace_id,
        destination_id=destination.pk,
        fields={"after": after.pk if after else None},
        cause=cause(),
    )


@pytest.mark.parametrize(("outcome", "end"), [(DONE, "pending"), (FAILED, "cancelled")])
def test_the_first_settles_while_the_next_event_s_fan_out_commits(
    workspace: Workspace, chain: tuple[Destination, Destination], outcome: Outcome, end: str
) -> None:
    first, second = chain
    task = make(workspace)
    settle_first = settling(outcome)
    changing = Holder(lambda: change(task, "b"))
    settled = blocked(settle_first)
    changing.commit()
    settled()
    assert states(first)[1] == "pending"
    assert states(second) == [end, "waiting"]


@pytest.mark.parametrize(("outcome", "end"), [(DONE, "pending"), (FAILED, "cancelled")])
def test_the_fan_out_commits_while_the_first_settles(
    workspace: Workspace, chain: tuple[Destination, Destination], outcome: Outcome, end: str
) -> None:
    first, second = chain
    task = make(workspace)
    settle_first = Holder(settling(outcome))
    changed = blocked(lambda: change(task, "b"))
    settle_first.commit()
    changed()
    assert states(first)[1] == "pending"
    assert states(second) == [end, "waiting"]


def test_the_second_settles_v1_while_the_first_settles_v2(
    workspace: Workspace, chain: tuple[Destination, Destination]
) -> None:
    """v2 needs both: its turn after v1, and its chain. Whoever comes last must see the other."""
    for order in ("chain first", "turn first"):
        task = make(workspace)
        settling(DONE)()
        change(task, "b")
        rows = {row.destination_id: row for row in lease(worker="w", wanted=9)}
        of_chain = lambda row=rows[chain[0].pk]: settle([Ended(row, DONE)])  # noqa: E731
        of_turn = lambda row=rows[chain[1].pk]: settle([Ended(row, DONE)])  # noqa: E731
        before, after = (of_chain, of_turn) if order == "chain first" else (of_turn, of_chain)
        holding = Holder(before)
        other = blocked(after)
        holding.commit()
        other()
        assert states(chain[1])[-2:] == ["succeeded", "pending"], order
        settling(DONE)()


def test_a_retry_of_the_first_waits_for_its_end_to_cancel_the_second(
    workspace: Workspace, chain: tuple[Destination, Destination]
) -> None:
    first, second = chain
    make(workspace)
    row = Delivery.objects.get(destination=first)
    dying = Holder(settling(FAILED))
    retried = blocked(
        lambda: retry_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    )
    dying.commit()
    retried()
    assert (states(first), states(second)) == (["pending"], ["waiting"])


def test_the_second_is_cancelled_by_hand_while_its_chain_sets_it_free(
    workspace: Workspace, chain: tuple[Destination, Destination]
) -> None:
    make(workspace)
    row = Delivery.objects.get(destination=chain[1])
    freeing = Holder(settling(DONE))
    cancelled = blocked(
        lambda: cancel_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    )
    freeing.commit()
    cancelled()
    assert states(chain[1]) == ["cancelled"]


def test_no_two_changes_close_a_circle_together(workspace: Workspace) -> None:
    """a → b and c → d stand; b → c and d → a touch no row in common."""
    a, b, c, d = (to(workspace, NOWHERE, name=name) for name in "abcd")
    set_after(a, b)
    set_after(c, d)
    one = Holder(lambda: set_after(b, c))

    def other() -> None:
        with pytest.raises(Invalid):
            set_after(d, a)

    closed = blocked(other)
    one.commit()
    closed()
    d.refresh_from_db()
    assert d.after is None


def test_two_that_would_come_after_each_other_do_not_deadlock(workspace: Workspace) -> None:
    a, b = (to(workspace, NOWHERE, name=name) for name in "ab")
    head = Holder(lambda: lock_heads([workspace.pk]))

    def attempt(who: Destination, after: Destination) -> Callable[[], bool]:
        refused: list[bool] = []

        def run() -> None:
            try:
                set_after(who, after)
                refused.append(False)
            except Invalid:
                refused.append(True)

        wait = blocked(run)

        def outcome() -> bool:
            wait()
            return refused[0]

        return outcome

    one, two = attempt(a, b), attempt(b, a)
    head.commit()
    assert sorted([one(), two()]) == [False, True]


def test_a_chain_to_a_destination_that_is_being_deleted_is_refused(workspace: Workspace) -> None:
    gone, other = to(workspace, NOWHERE, name="gone"), to(workspace, NOWHERE, name="other")
    deleting = Holder(
        lambda: delete_destination(workspace_id=workspace.pk, destination_id=gone.pk, cause=cause())
    )

    def chained() -> None:
        with pytest.raises(Invalid):
            set_after(other, gone)

    refused = blocked(chained)
    deleting.commit()
    refused()


def test_an_event_is_told_while_its_chain_s_first_is_deleted(
    workspace: Workspace, chain: tuple[Destination, Destination]
) -> None:
    """Fan-out before the deletion: cancelled with it. Fan-out after it: the second goes alone."""
    first, second = chain
    deleting = Holder(
        lambda: delete_destination(
            workspace_id=workspace.pk, destination_id=first.pk, cause=cause()
        )
    )
    made = blocked(lambda: make(workspace))
    deleting.commit()
    made()
    cancel_of_deleted()
    assert (states(first), states(second)) == ([], ["pending"])


def test_ending_a_chain_and_its_end_set_the_second_free_once(
    workspace: Workspace, chain: tuple[Destination, Destination]
) -> None:
    first, second = chain
    make(workspace)
    dying = Holder(settling(FAILED))
    freed = blocked(lambda: set_after(second, None))
    dying.commit()
    freed()
    assert states(second) == ["cancelled"]
    make(workspace)
    unchaining = Holder(lambda: set_after(second, first))
    unchaining.commit()
    again = make(workspace)
    rows = lease(worker="w", wanted=9)
    freeing = Holder(lambda: set_after(second, None))
    ended = blocked(lambda: settle([Ended(row, FAILED) for row in rows]))
    freeing.commit()
    ended()
    row = Delivery.objects.get(destination=second, task_id=again.pk)
    assert (row.state, row.behind) == ("pending", None)


def test_many_writers_and_settlers_of_a_chain_of_three_end_without_a_deadlock(
    workspace: Workspace,
) -> None:
    first = to(workspace, NOWHERE, name="1")
    second = to(workspace, NOWHERE, name="2", after=first.pk)
    third = to(workspace, NOWHERE, name="3", after=second.pk)
    tasks = [make(workspace) for _ in range(4)]

    def write(number: int) -> Callable[[], None]:
        def run() -> None:
            for turn in range(8):
                change(tasks[number], f"{number}.{turn}")

        return run

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            idle = 0
            while idle < 40:
                rows = lease(worker=name, wanted=7)
                idle = 0 if settle([Ended(row, DONE) for row in rows]) else idle + 1

        return run

    futures = [in_thread(write(number)) for number in range(4)]
    futures += [in_thread(work(name)) for name in ("a", "b", "c")]
    for future in futures:
        future.result(60)
    while rows := lease(worker="last", wanted=50):
        settle([Ended(row, DONE) for row in rows])
    for destination in (first, second, third):
        assert set(states(destination)) == {"succeeded"}
        assert len(states(destination)) == 36
    ends = {(r.destination_id, r.event_seq): r.ended_at for r in Delivery.objects.all()}
    for (owner, seq), ended_at in ends.items():
        if owner == second.pk:
            before = ends[first.pk, seq]
            assert before is not None
            assert ended_at is not None
            assert before <= ended_at
