"""Replays: what was chosen goes out once more, with its old id, in order, and nothing besides."""

import itertools
import uuid
from datetime import timedelta
from typing import Any

import pytest

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.destination import delete_destination, pause_destination, resume_destination
from tasks_app.actions.replay import Selection, cancel_replay, count_replay
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.connectors.base import ErrorCode, Outcome, Verdict
from tasks_app.delivery import lease as leasing
from tasks_app.delivery import replaying
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.events.wire import message_id
from tasks_app.exceptions import Invalid, ReplayOver
from tasks_app.models import Circuit, Delivery, Destination, Event, Replay, Task, Workspace
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.engine import deliver, states, to, told
from tests.support.factories import cause
from tests.support.replays import replay, walk
from tests.support.sink import Sink, sink, status

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


def make(workspace: Workspace, title: str = "t") -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def settled(outcome: Outcome = DONE, wanted: int = 99) -> int:
    """Lease what is due and let it end so; return how many that was."""
    return settle([Ended(row, outcome) for row in lease(worker="w", wanted=wanted)])


def settle_all(outcome: Outcome = DONE) -> None:
    while settled(outcome):
        pass


def made(of: Replay) -> list[Delivery]:
    """Return the deliveries that a replay has made for its own destination."""
    rows = Delivery.objects.filter(replay=str(of.pk), destination_id=of.destination_id)
    return list(rows.order_by("sequence"))


def titles(here: Sink) -> list[str]:
    return [came.data["task"]["title"] for came in here.came]


def progress(workspace: Workspace) -> list[dict[str, Any]]:
    return [e.data["replay"] for e in factories.log(workspace) if e.type == "replay_progress"]


def test_what_is_replayed_comes_with_its_old_id_a_new_sequence_and_the_replay_s(
    workspace: Workspace,
) -> None:
    with sink() as here:
        there = to(workspace, here.url)
        task = make(workspace, "a")
        change(task, "b")
        make(workspace, "c")
        deliver()
        first = list(here.came)
        job = replay(there)
        assert (job.total, job.state) == (3, "running")
        walk(job)
        deliver()
    again = here.came[3:]
    assert sorted(c.id for c in again) == sorted(c.id for c in first)
    assert sorted(c.sequence for c in again) == [4, 5, 6]
    assert {c.headers["webhook-replay"] for c in again} == {str(job.pk)}
    assert {c.attempt for c in again} == {1}
    assert {c.id: c.data for c in again} == {c.id: c.data for c in first}
    ours = [c.data["task"]["title"] for c in again if c.task == str(task.pk)]
    assert ours == ["a", "b"]
    assert walk(job).state == "done"
    assert (job.made, job.ended, job.skipped) == (3, 3, 0)


def test_a_replay_tells_when_it_begins_and_ends_and_of_each_task_once(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    task = make(workspace)
    change(task, "b")
    settle_all()
    before = len(told(workspace))
    job = walk(replay(there))
    settle_all()
    walk(job)
    assert told(workspace)[before:] == [
        *("replay_progress", "task_sync_scheduled"),
        *("task_synced", "task_synced", "replay_progress"),
    ]
    scheduled = [e for e in factories.log(workspace) if e.type == "task_sync_scheduled"]
    assert scheduled[0].data["task"]["sync"] == "scheduled"
    assert scheduled[0].data["delivery"]["replay"] == str(job.pk)
    assert scheduled[0].actor["name"] == "alice"
    assert [(p["state"], p["made"], p["ended"]) for p in progress(workspace)] == [
        ("running", 0, 0),
        ("done", 2, 2),
    ]


def test_a_range_of_seqs_chooses_from_both_ends_inclusive(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    for number in range(6):
        make(workspace, str(number))
    settle_all()
    seqs = list(
        Delivery.objects.filter(destination=there)
        .order_by("event_seq")
        .values_list("event_seq", flat=True)
    )
    job = walk(replay(there, from_seq=seqs[1], to_seq=seqs[3]))
    assert [row.event_seq for row in made(job)] == seqs[1:4]
    beyond = walk(replay(there, from_seq=10_000))
    assert (beyond.state, beyond.total, beyond.made) == ("done", 0, 0)


def test_a_range_of_time_chooses_by_the_events_own_times(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    for number in range(5):
        make(workspace, str(number))
    settle_all()
    rows = [e for e in factories.log(workspace) if e.type == "task_created"]
    job = walk(replay(there, from_time=rows[1].at, to_time=rows[3].at))
    assert [row.event_seq for row in made(job)] == [row.seq for row in rows[1:4]]
    settle_all()
    early = walk(replay(there, to_time=rows[0].at - timedelta(hours=2)))
    assert (early.state, early.made) == ("done", 0)


def test_states_choose_by_what_became_of_an_event_last(workspace: Workspace) -> None:
    """A dead one whose replay went through is no longer dead."""
    there = to(workspace, NOWHERE, retry_schedule=[])
    for number in range(3):
        make(workspace, str(number))
    settled(FAILED)
    make(workspace, "cancelled")
    row = Delivery.objects.get(state="pending")
    cancel_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    make(workspace, "fine")
    settle_all()
    assert states(there) == ["dead"] * 3 + ["cancelled", "succeeded"]
    job = walk(replay(there, states=["dead"]))
    assert (job.total, job.made) == (3, 3)
    settle_all()
    assert walk(job).state == "done"
    again = walk(replay(there, states=["dead", "cancelled"]))
    assert [row.event_type for row in made(again)] == ["task_created"]
    assert again.total == 1


def test_deliveries_and_events_can_be_named(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    tasks = [make(workspace, str(number)) for number in range(4)]
    change(tasks[0], "x")
    settle_all()
    rows = list(Delivery.objects.order_by("sequence"))
    job = walk(replay(there, deliveries=[rows[4].pk, rows[0].pk, rows[2].pk]))
    assert [row.event_seq for row in made(job)] == [rows[i].event_seq for i in (0, 2, 4)]
    settle_all()
    created = Event.objects.filter(type="task_created").order_by("seq")
    job = walk(replay(there, events=[created[1].pk]))
    assert [row.message_id for row in made(job)] == [rows[1].message_id]


def test_a_name_of_nothing_is_refused_and_begins_no_replay(workspace: Workspace) -> None:
    there, other = to(workspace, NOWHERE), to(workspace, NOWHERE, name="other")
    make(workspace)
    theirs = Delivery.objects.get(destination=other)
    outcome = Event.objects.filter(type="destination_created").first()
    assert outcome is not None
    named: list[tuple[dict[str, Any], str]] = [
        ({"deliveries": [theirs.pk]}, "/deliveries/0"),
        ({"events": [outcome.pk]}, "/events/0"),
        ({"events": [uuid.uuid4()]}, "/events/0"),
    ]
    for chosen, pointer in named:
        with pytest.raises(Invalid) as refusal:
            replay(there, **chosen)
        assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert not Replay.objects.exists()


def test_a_dry_run_counts_what_the_replay_then_makes_and_sends_nothing(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE, retry_schedule=[])
    task = make(workspace)
    for number in range(30):
        change(task, str(number))
        make(workspace, str(number))
    settled(FAILED)
    settle_all()
    make(workspace, "under way")
    selections: list[dict[str, Any]] = [
        {"from_seq": 1},
        {"states": ["dead"]},
        {"from_seq": 20, "to_seq": 60},
        {"from_seq": 20, "states": ["succeeded"]},
    ]
    for chosen in selections:
        rows = Delivery.objects.count()
        count = count_replay(
            workspace_id=workspace.pk,
            destination_id=there.pk,
            selection=Selection(**chosen),
        )
        assert Delivery.objects.count() == rows
        job = walk(replay(there, **chosen))
        assert count.total == job.total == job.made > 0, chosen
        assert Delivery.objects.count() == rows + job.made
        assert count.under_way == job.skipped
        cancel_replay(
            workspace_id=workspace.pk, replay_id=job.pk, cancel_waiting=True, cause=cause()
        )
        walk(job)
        Delivery.objects.filter(replay=str(job.pk)).delete()


def test_what_is_under_way_is_not_doubled(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    make(workspace)
    settled(wanted=1)
    job = walk(replay(there))
    assert (job.total, job.made, job.skipped) == (1, 1, 1)


def test_a_new_destination_gets_what_it_wants_of_the_past(workspace: Workspace) -> None:
    """No delivery of these was ever made for it: they begin with ids of their own."""
    task = make(workspace)
    change(task, "b")
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    there = to(workspace, NOWHERE, events=["task_created", "task_deleted"])
    job = walk(replay(there))
    assert [row.event_type for row in made(job)] == ["task_created", "task_deleted"]
    assert [row.message_id for row in made(job)] == [row.pk for row in made(job)]
    assert states(there) == ["pending", "waiting"]
    again = walk(replay(there))
    assert (again.made, again.skipped, again.state) == (0, 2, "done")


def test_a_task_goes_in_whole_so_that_a_change_meanwhile_comes_after_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is one delivery; a change is made between two steps and must not come between."""
    monkeypatch.setattr(replaying, "STEP", 1)
    with sink() as here:
        there = to(workspace, here.url)
        one, two = make(workspace, "1a"), make(workspace, "2a")
        for letter in "bcd":
            change(one, f"1{letter}")
            change(two, f"2{letter}")
        deliver()
        here.came.clear()
        job = replay(there)
        assert replaying.advance(job.pk)
        change(one, "1e")
        change(two, "2e")
        walk(job)
        deliver()
    assert [t for t in titles(here) if t[0] == "1"] == ["1a", "1b", "1c", "1d", "1e"]
    # The change of the second was first in its queue: replayed ones never overtake.
    assert [t for t in titles(here) if t[0] == "2"] == ["2e", "2a", "2b", "2c", "2d"]


def test_a_replay_waits_behind_what_is_open_of_its_task(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    task = make(workspace)
    settled()
    change(task, "b")
    walk(replay(there))
    assert states(there) == ["succeeded", "pending", "waiting"]
    settled()
    assert states(there) == ["succeeded", "succeeded", "pending"]


def test_live_deliveries_go_before_replayed_ones(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By rank; the one lease in eight that goes by age is left out here."""
    monkeypatch.setattr(leasing, "BY_AGE_EVERY", 10**9)
    there = to(workspace, NOWHERE)
    for number in range(5):
        make(workspace, str(number))
    settle_all()
    walk(replay(there))
    make(workspace, "live")
    assert [row.replay for row in lease(worker="w", wanted=1)] == [""]


def test_there_is_always_room_in_the_queue_and_no_end_to_a_replay(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "ROOM", 10)
    monkeypatch.setattr(replaying, "STEP", 4)
    there = to(workspace, NOWHERE)
    for number in range(25):
        make(workspace, str(number))
    settle_all()
    job = walk(replay(there))
    assert job.made == 10
    rounds = 0
    while walk(job).state != "done":
        assert Delivery.objects.filter(state="pending").count() <= 10
        assert settled(wanted=3) > 0
        rounds += 1
    assert (job.made, job.ended) == (25, 25)
    assert rounds >= 8


def test_a_rate_spaces_what_is_due_and_makes_no_more_than_the_next_seconds(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    for number in range(20):
        make(workspace, str(number))
    settle_all()
    job = walk(replay(there, rate=4))
    rows = made(job)
    # Two seconds ahead at four a second; the next slot is the first beyond them.
    assert 8 <= len(rows) <= 9
    due = [row.next_attempt_at for row in rows]
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(due)]
    assert gaps == pytest.approx([0.25] * len(gaps), abs=1e-5)
    assert len(lease(worker="w", wanted=99)) <= 4
    Replay.objects.update(next_at=due[0] - timedelta(seconds=60))
    walk(job)  # time that has passed unused is not made up for
    assert max(row.next_attempt_at for row in made(job)[len(rows) :]) >= due[0]


def test_a_replay_waits_with_its_destination_and_goes_on_with_it(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    settled()
    pause_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
    job = walk(replay(there))
    assert (job.state, job.reason, job.made) == ("waiting", "destination_paused", 0)
    resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
    walk(job)
    assert (job.state, job.reason, job.made) == ("running", "", 1)
    Circuit.objects.update_or_create(destination_id=there.pk, defaults={"state": "open"})
    assert (walk(job).state, job.reason) == ("waiting", "circuit_open")
    assert [p["reason"] for p in progress(workspace)][1:] == [
        *("destination_paused", "", "circuit_open")
    ]


def test_a_replay_ends_with_its_destination_and_says_why(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    settled()
    job = replay(there)
    delete_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
    walk(job)
    assert (job.state, job.reason) == ("cancelled", "destination_deleted")
    assert job.ended_at is not None
    assert progress(workspace)[-1]["reason"] == "destination_deleted"


def test_a_cancelled_replay_makes_no_more_and_lets_what_it_made_go(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "STEP", 2)
    there = to(workspace, NOWHERE)
    for number in range(6):
        make(workspace, str(number))
    settle_all()
    job = replay(there)
    replaying.advance(job.pk)
    chosen: dict[str, Any] = {
        "workspace_id": workspace.pk,
        "replay_id": job.pk,
        "cause": cause(),
    }
    cancel_replay(**chosen, cancel_waiting=False)
    walk(job)
    assert (job.state, job.made) == ("cancelled", 2)
    assert [row.state for row in made(job)] == ["pending"] * 2
    cancel_replay(**chosen, cancel_waiting=True)
    walk(job)
    assert [(row.state, row.error) for row in made(job)] == [("cancelled", "replay_cancelled")] * 2
    assert told(workspace).count("task_sync_cancelled") == 2
    assert not job.cancels_deliveries
    settle_all()
    done = walk(replay(there, from_seq=10_000))
    with pytest.raises(ReplayOver):
        cancel_replay(**{**chosen, "replay_id": done.pk}, cancel_waiting=True)


def test_cancelling_a_replay_lets_the_changes_behind_it_go_and_what_comes_back_is_cancelled(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE)
    one, two = make(workspace, "1"), make(workspace, "2")
    settle_all()
    job = walk(replay(there))
    (flying,) = lease(worker="w", wanted=1)
    change(one, "1b")
    change(two, "2b")
    cancel_replay(workspace_id=workspace.pk, replay_id=job.pk, cancel_waiting=True, cause=cause())
    walk(job)
    assert job.cancels_deliveries
    assert sorted(states(there)[2:]) == ["cancelled", "leased", "pending", "waiting"]
    settle([Ended(flying, FAILED)])
    walk(job)
    assert sorted(states(there)[2:]) == ["cancelled", "cancelled", "pending", "pending"]
    assert not job.cancels_deliveries


def test_a_replayed_delivery_can_be_retried_by_hand_and_stays_the_replay_s(
    workspace: Workspace,
) -> None:
    there = to(workspace, NOWHERE, retry_schedule=[])
    make(workspace)
    settled()
    job = walk(replay(there))
    settled(FAILED)
    assert walk(job).state == "done"
    (row,) = made(job)
    again = retry_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    assert (again.state, again.replay) == ("pending", str(job.pk))


def test_a_replay_to_the_second_of_a_chain_waits_only_for_what_is_under_way(
    workspace: Workspace,
) -> None:
    first = to(workspace, NOWHERE, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    make(workspace, "dead")
    settled(FAILED)
    make(workspace, "open")
    one, two = Delivery.objects.filter(destination=second).order_by("sequence")
    assert (one.state, two.state) == ("cancelled", "waiting")
    job = walk(replay(second, states=["cancelled"]))
    assert [(row.state, row.behind) for row in made(job)] == [("pending", None)]
    dead = Delivery.objects.get(destination=first, state="dead")
    retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    settle([Ended(r, DONE) for r in lease(worker="w", wanted=9) if r.destination_id == second.pk])
    again = walk(replay(second, states=["succeeded"]))
    assert [(row.state, row.behind) for row in made(again)] == [("waiting", dead.pk)]
    # What was replayed since is not revived as well.
    assert states(second) == ["cancelled", "waiting", "succeeded", "waiting"]


def test_a_replay_to_the_first_mends_the_chain_that_broke_there(workspace: Workspace) -> None:
    first = to(workspace, NOWHERE, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    make(workspace)
    settled(FAILED)
    assert states(second) == ["cancelled"]
    job = walk(replay(first, states=["dead"]))
    row = Delivery.objects.get(destination=second)
    assert (row.state, row.behind) == ("waiting", made(job)[0].pk)
    assert job.made == 1  # the second's is not the replay's own
    settled()
    assert states(second) == ["pending"]
    assert walk(job).state == "done"


def test_one_broken_replay_stops_no_other(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    there = to(workspace, NOWHERE)
    make(workspace)
    settled()
    broken, fine = replay(there), replay(there)
    Replay.objects.filter(pk=broken.pk).update(actor={"unknown": 1})
    replaying.replay_some()
    assert "replay_step_failed" in caplog.text
    fine.refresh_from_db()
    assert fine.made == 1


def test_messages_keep_their_ids_through_replays_of_replays(workspace: Workspace) -> None:
    with sink(status(400)) as here:
        there = to(workspace, here.url, retry_schedule=[])
        make(workspace)
        deliver()
        for _ in range(2):
            walk(replay(there, states=["dead"]))
            deliver()
    assert len(here.came) == 3
    assert {came.id for came in here.came} == {message_id(Delivery.objects.all()[0].message_id)}
    assert sorted(came.sequence for came in here.came) == [1, 2, 3]


def test_a_long_log_is_walked_in_short_steps(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the range is read twice, and an empty stretch costs a step, not a stop."""
    there = to(workspace, NOWHERE)
    backlog(there, 40, state="pending")
    settle_all()
    monkeypatch.setattr(replaying, "LOOK", 7)
    job = replay(there)
    reached = []
    while replaying.advance(job.pk):
        job.refresh_from_db()
        reached.append(job.cursor)
    assert reached == sorted(set(reached))
    assert all(b - a <= 7 for a, b in itertools.pairwise(reached))
    assert job.made == 40
    assert Destination.objects.count() == 1
