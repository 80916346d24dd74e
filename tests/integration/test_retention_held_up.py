"""Retention beside everything else: it waits for nobody, nobody for it, and no page gets stuck."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from tasks_app.actions.delivery import retry_delivery
from tasks_app.delivery import sweep as sweep_module
from tasks_app.delivery.retention import look_again
from tasks_app.delivery.sweep import erase_the_past, sweep
from tasks_app.models import Attempt, Delivery, Destination, Event, LogFloor, Workspace
from tests.integration.test_retention import ON, _step, forget, make, past, seqs
from tests.races.test_delivery_races import Holder
from tests.support.backlog import backlog
from tests.support.callers import Caller, caller
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.latest import DONE, FAILED, NOWHERE, settled
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)


@pytest.fixture
def held_up(workspace: Workspace) -> int:
    """Let rows below the floor stay, as something is under way there; return the floor."""
    paused = to(workspace, NOWHERE)
    make(workspace, 3)
    Destination.objects.filter(pk=paused.pk).update(state="paused")
    past(workspace, 91)
    floor = seqs(workspace)[-1] + 1
    make(workspace, 3)
    forget()
    assert seqs(workspace)[0] < floor
    return floor


@pytest.mark.parametrize("ordering", ["seq", "-seq"])
def test_a_log_with_rows_below_its_floor_is_paged_from_the_floor(
    api: Caller, held_up: int, ordering: str
) -> None:
    page: Any = api.get(f"events/?limit=1&ordering={ordering}").body
    came = []
    while True:
        came += [one["seq"] for one in page["results"]]
        if page["next"] is None:
            break
        answer = api.get(page["next"])
        assert answer.status == 200, answer.raw
        page = answer.body
    kept = [held_up, held_up + 1, held_up + 2]
    assert came == (kept if ordering == "seq" else kept[::-1])
    back = api.get(api.get(f"events/?limit=2&ordering={ordering}").body["next"]).body["previous"]
    assert len(api.get(back).body["results"]) == 2


def test_a_task_s_log_begins_at_the_floor_too(
    api: Caller, workspace: Workspace, held_up: int
) -> None:
    old, new = (
        Event.objects.get(workspace_id=workspace.pk, seq=seq).task_id
        for seq in (held_up - 1, held_up)
    )
    assert api.get(f"tasks/{old}/events/").body["results"] == []
    assert len(api.get(f"tasks/{new}/events/").body["results"]) == 1


def test_a_steady_load_of_old_attempts_does_not_keep_the_log(workspace: Workspace) -> None:
    to(workspace, NOWHERE)
    make(workspace, 2)
    settled(DONE)
    past(workspace, 91)
    last = seqs(workspace)[-1]
    make(workspace, 1)
    new = Delivery.objects.get(event_seq=last + 1)
    for number in range(3):  # before every step there is a new old attempt
        Attempt.objects.create(
            id=f"01600000-0000-7000-8000-{number:012}",
            delivery=new,
            number=number + 1,
            started_at="2020-01-01T00:00:00Z",
            duration_ms=1,
        )
        look_again()
        with ON:
            assert _step() > 0
    assert seqs(workspace) == [last + 1]


def test_a_step_looks_no_further_than_it_can_erase(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many destinations there are: one step is so many deliveries, or one event's."""
    there = [to(workspace, NOWHERE, name=str(n)) for n in range(3)]
    backlog(there[0], 40, state="pending")
    Delivery.objects.update(state="succeeded", ended_at="2020-01-01T00:00:00Z")
    one = Delivery.objects.order_by("event_seq")[20]
    for number in range(30):  # replayed again and again
        one.pk, one.sequence = None, 1000 + number
        one.save(force_insert=True)
    past(workspace, 91)
    monkeypatch.setattr("tasks_app.delivery.retention.MOST", 8)
    look_again()
    left, came_to = [Delivery.objects.count()], [0]
    with ON:
        while _step():
            left.append(Delivery.objects.count())
            came_to.append(LogFloor.objects.get().erased_to)
    assert left[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(left)) == 8
    # Whole events at a time, but for the one that has more than a step.
    stood_still = [here for before, here in itertools.pairwise(came_to) if before == here]
    assert set(stood_still) == {one.event_seq - 1}
    assert [seq for seq in seqs(workspace) if seq <= 40] == []


def test_it_waits_for_nobody_who_retries_by_hand(workspace: Workspace) -> None:
    """Or they would wait for one another: it has the second of a chain and wants the first."""
    first = to(workspace, NOWHERE, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    make(workspace, 1)
    settled(FAILED)
    past(workspace, 91)
    dead = Delivery.objects.get(destination=first)
    LogFloor.objects.create(workspace_id=workspace.pk, kept_from=seqs(workspace)[-1] + 1)
    retrying = Holder(
        lambda: retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    )
    forget()
    retrying.commit()
    assert (states(first), states(second)) == (["pending"], ["waiting"])
    assert settled(DONE) == 1
    assert Event.objects.filter(workspace_id=workspace.pk, seq=dead.event_seq).exists()


def test_bells_and_take_over_come_before_the_past(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever erases holds no lock that another process's sweep needs."""
    done: list[str] = []

    def noted(name: str) -> Callable[[], int]:
        def job() -> int:
            done.append(name)
            return 0

        return job

    for name in ("take_over", "replay_some", "ring_drain", "send_notices", "erase_some"):
        monkeypatch.setattr(sweep_module, name, noted(name))
    monkeypatch.setattr(sweep_module, "forget_some", noted("forget_some"))
    backlog(to(workspace, NOWHERE), 1)
    sweep()
    order = ["take_over", "replay_some", "ring_drain", "send_notices", "erase_some", "forget_some"]
    assert done == order
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [sweep_module.BROOM])
        in_thread(sweep).result(DEADLINE)
    assert done == [*order, *order[:4]]


def test_the_past_is_erased_for_a_slice_of_each_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def slow() -> int:
        calls.append(1)
        clock[0] += 0.3
        return 1

    clock = [0.0]
    monkeypatch.setattr("tasks_app.delivery.sweep.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(sweep_module, "erase_some", lambda: 0)
    monkeypatch.setattr(sweep_module, "forget_some", slow)
    erase_the_past()
    assert len(calls) == 2
