"""Chains: what comes after another destination starts when that has the event, and only then."""

from typing import Any

import pytest

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.destination import change_destination, delete_destination
from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery.belts import follow_lost_chains, give_stuck_turns
from tasks_app.delivery.clear import cancel_of_deleted
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.delivery.take_over import take_over
from tasks_app.models import Delivery, Destination, Task, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller
from tests.support.engine import deliver, states, to, told
from tests.support.factories import cause
from tests.support.sink import sink, status

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
FAILED = Outcome(verdict=Verdict.FAILED, status_code=500, phases={}, duration_ms=1.0)


def make(workspace: Workspace, title: str = "t") -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def settled(outcome: Outcome, wanted: int = 9) -> int:
    """Lease what is due and let it end so; return how many that was."""
    return settle([Ended(row, outcome) for row in lease(worker="w", wanted=wanted)])


def chain(workspace: Workspace, *urls: str, **fields: Any) -> list[Destination]:
    """Return destinations, each after the one before it."""
    made: list[Destination] = []
    for number, url in enumerate(urls):
        after = made[-1].pk if made else None
        made.append(to(workspace, url, name=str(number), after=after, **fields))
    return made


def only(destination: Destination) -> Delivery:
    return Delivery.objects.get(destination=destination)


def retry(delivery: Delivery) -> Delivery:
    return retry_delivery(
        workspace_id=delivery.workspace_id, delivery_id=delivery.pk, cause=cause()
    )


def test_a_chain_of_three_is_walked_in_its_order(workspace: Workspace) -> None:
    with sink() as here:
        for number, destination in enumerate(chain(workspace, *[here.url] * 3)):
            assert destination.name == str(number)
        task = make(workspace)
        change(task, "b")
        deliver()
    by_event: dict[int, list[int]] = {}
    for position, came in enumerate(here.came):
        by_event.setdefault(came.data["seq"], []).append(position)
    assert len(here.came) == 6
    assert [len(positions) for positions in by_event.values()] == [3, 3]
    rows = Delivery.objects.select_related("destination").order_by("ended_at", "id")
    for seq in by_event:
        names = [row.destination.name for row in rows if row.event_seq == seq]
        assert names == ["0", "1", "2"]
    assert set(rows.values_list("state", flat=True)) == {"succeeded"}


def test_the_second_waits_for_the_first_to_succeed_and_not_for_its_attempt(
    workspace: Workspace,
) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE)
    make(workspace)
    assert (states(first), states(second)) == (["pending"], ["waiting"])
    assert settled(FAILED) == 1
    assert (states(first), states(second)) == (["pending"], ["waiting"])
    Delivery.objects.filter(state="pending").update(next_attempt_at="2020-01-01T00:00:00Z")
    assert settled(DONE) == 1
    assert (states(first), states(second)) == (["succeeded"], ["pending"])


def test_what_comes_after_a_dead_one_is_cancelled_down_the_chain_and_the_log_says_so(
    workspace: Workspace,
) -> None:
    first, second, third = chain(workspace, NOWHERE, NOWHERE, NOWHERE, retry_schedule=[])
    make(workspace)
    settled(FAILED)
    assert [*states(first), *states(second), *states(third)] == ["dead", "cancelled", "cancelled"]
    assert {only(second).error, only(third).error} == {"chain_broken"}
    assert told(workspace)[1:] == ["task_sync_failed", *["task_sync_cancelled"] * 2]
    last = factories.log(workspace)[-1]
    assert last.actor["name"] == "chain"
    assert last.data["task"]["sync"] == "failed"


def test_what_comes_after_a_cancelled_one_is_cancelled(workspace: Workspace) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE)
    make(workspace)
    cancel_delivery(workspace_id=workspace.pk, delivery_id=only(first).pk, cause=cause())
    assert (states(first), states(second)) == (["cancelled"], ["cancelled"])


def test_what_comes_after_a_poisonous_one_is_cancelled(workspace: Workspace) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE)
    make(workspace)
    assert len(lease(worker="w", wanted=9)) == 1
    Delivery.objects.filter(state="leased").update(
        leases=20, lease_expires_at="2020-01-01T00:00:00Z"
    )
    assert take_over() == 1
    assert (states(first), states(second)) == (["dead"], ["cancelled"])
    assert told(workspace)[-2:] == ["task_sync_failed", "task_sync_cancelled"]


def test_a_broken_chain_lets_the_next_change_of_the_task_go(workspace: Workspace) -> None:
    """The second's queue holds v1 behind a chain and v2 behind v1; v1 ends, v2 follows."""
    first, second = chain(workspace, NOWHERE, NOWHERE, retry_schedule=[])
    task = make(workspace)
    change(task, "b")
    settled(FAILED)
    assert (states(first), states(second)) == (["dead", "pending"], ["cancelled", "waiting"])
    settled(DONE)
    assert (states(first), states(second)) == (["dead", "succeeded"], ["cancelled", "pending"])


def test_order_per_task_holds_in_the_second_destination(workspace: Workspace) -> None:
    """v2 has been through the first, yet it waits in the second until v1 has ended there."""
    first, second = chain(workspace, NOWHERE, NOWHERE)
    task = make(workspace)
    change(task, "b")
    assert settled(DONE) == 1
    rows = {row.destination_id: row for row in lease(worker="w", wanted=9)}
    settle([Ended(rows[first.pk], DONE)])
    assert (states(first), states(second)) == (["succeeded"] * 2, ["leased", "waiting"])
    settle([Ended(rows[second.pk], DONE)])
    assert states(second) == ["succeeded", "pending"]


def test_where_the_first_does_not_want_an_event_the_second_gets_it_at_once(
    workspace: Workspace,
) -> None:
    first = to(workspace, NOWHERE, name="first", events=["task_updated"])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    make(workspace)
    assert (states(first), states(second)) == ([], ["pending"])


def test_a_retry_mends_the_chain_behind_it(workspace: Workspace) -> None:
    first, second, third = chain(workspace, NOWHERE, NOWHERE, NOWHERE, retry_schedule=[])
    make(workspace)
    settled(FAILED)
    retry(only(first))
    assert [*states(first), *states(second), *states(third)] == ["pending", "waiting", "waiting"]
    assert told(workspace)[-3:] == ["task_sync_scheduled"] * 3
    for _ in range(3):
        assert settled(DONE) == 1
    assert Delivery.objects.filter(state="succeeded").count() == 3
    assert only(third).replay == "retry"


def test_a_retry_by_hand_of_the_second_goes_although_the_first_is_dead(
    workspace: Workspace,
) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE, retry_schedule=[])
    make(workspace)
    settled(FAILED)
    again = retry(only(second))
    assert (again.state, again.error) == ("pending", "")  # not chain_broken any more
    settled(DONE)
    assert (states(first), states(second)) == (["dead"], ["succeeded"])
    retry(only(first))
    assert states(second) == ["succeeded"]  # it has it: once is enough


def test_deleting_the_first_cancels_what_waits_behind_it_and_ends_the_chain(
    workspace: Workspace,
) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE)
    make(workspace)
    delete_destination(workspace_id=workspace.pk, destination_id=first.pk, cause=cause())
    second.refresh_from_db()
    assert second.after is None
    assert factories.log(workspace)[-1].data["changed"] == ["after"]
    assert cancel_of_deleted() == 1
    assert states(second) == ["cancelled"]
    make(workspace)
    assert states(second) == ["cancelled", "pending"]


def test_ending_a_chain_sets_free_what_waits_behind_it(workspace: Workspace) -> None:
    _, second = chain(workspace, NOWHERE, NOWHERE)
    task = make(workspace)
    change(task, "b")
    change_destination(
        workspace_id=workspace.pk, destination_id=second.pk, fields={"after": None}, cause=cause()
    )
    assert states(second) == ["pending", "waiting"]


def test_the_sweep_finds_what_a_chain_left_behind_and_nothing_else(workspace: Workspace) -> None:
    first, second = chain(workspace, NOWHERE, NOWHERE)
    for _ in range(3):
        make(workspace)
    one, two, _ = Delivery.objects.filter(destination=first).order_by("sequence")
    ends: dict[str, Any] = {"ended_at": "2026-01-01T00:00:00Z"}
    Delivery.objects.filter(pk=one.pk).update(state="dead", **ends)
    Delivery.objects.filter(pk=two.pk).update(state="succeeded", **ends)
    assert follow_lost_chains() == 1
    assert give_stuck_turns() == 1
    assert states(second) == ["cancelled", "pending", "waiting"]
    assert (follow_lost_chains(), give_stuck_turns()) == (0, 0)


def test_a_dead_receiver_cuts_its_chain_over_real_requests(workspace: Workspace) -> None:
    with sink(status(500)) as bad, sink() as good:
        first, second = chain(workspace, bad.url, good.url, retry_schedule=[])
        make(workspace)
        deliver()
        assert (len(bad.came), len(good.came)) == (1, 0)
    assert (states(first), states(second)) == (["dead"], ["cancelled"])


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)


def created(api: Caller, name: str, **fields: Any) -> Any:
    answer = api.post("destinations/", {"name": name, "url": NOWHERE, **fields})
    assert answer.status == 201, answer.raw
    return answer.body["id"]


def test_a_circle_is_refused_however_long(api: Caller) -> None:
    a = created(api, "a")
    b = created(api, "b", after=a)
    c = created(api, "c", after=b)
    for end in (a, b, c):
        answer = api.patch(f"destinations/{a}/", {"after": end})
        assert (answer.status, answer.pointers) == (400, [("/after", "cycle")])
    assert api.get(f"destinations/{a}/").body["after"] is None
    assert api.get(f"destinations/{c}/").body["after"] == b
    assert api.patch(f"destinations/{c}/", {"after": a}).body["after"] == a


@pytest.mark.parametrize("value", [1, "x", True, [], "urn"])
def test_after_takes_an_id_and_nothing_else(api: Caller, value: Any) -> None:
    answer = api.post("destinations/", {"name": "x", "url": NOWHERE, "after": value})
    assert (answer.status, answer.pointers) == (400, [("/after", "invalid")])


def test_another_workspace_s_destination_does_not_exist(api: Caller, workspace: Workspace) -> None:
    theirs = created(caller(factories.workspace()), "theirs")
    refused = api.post("destinations/", {"name": "x", "url": NOWHERE, "after": theirs})
    assert (refused.status, refused.pointers) == (400, [("/after", "not_found")])
    assert api.get("destinations/").body["results"] == []
    gone = created(api, "gone")
    assert api.delete(f"destinations/{gone}/").status == 204
    refused = api.post("destinations/", {"name": "x", "url": NOWHERE, "after": gone})
    assert refused.pointers == [("/after", "not_found")]


def test_a_delivery_tells_what_it_is_behind(api: Caller) -> None:
    a = created(api, "a")
    b = created(api, "b", after=a)
    api.post("tasks/", {"title": "x"})
    (first,) = api.get(f"deliveries/?destination={a}").body["results"]
    (second,) = api.get(f"deliveries/?destination={b}").body["results"]
    assert (first["behind"], second["behind"]) == (None, first["id"])
