"""A destination that fails is left alone, probed, taken up again slowly, and told of."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django.fixtures import Settings

from tasks_app.actions.destination import (
    change_destination,
    pause_destination,
    resume_destination,
)
from tasks_app.actions.task import create_task, update_task
from tasks_app.delivery import ramp
from tasks_app.delivery.sweep import sweep
from tasks_app.models import (
    Attempt,
    Circuit,
    Delivery,
    Destination,
    Notice,
    Task,
    Workspace,
)
from tasks_app.queries.backlog import backlogs
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.clock import let_pass
from tests.support.engine import deliver, is_due, make_due, states, to, told
from tests.support.factories import cause
from tests.support.receiver import Exchange
from tests.support.sink import Came, Sink, held, ok, sink, status
from tests.support.threads import DEADLINE, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)
OPENED, RECOVERED = "destination_circuit_opened", "destination_recovered"


def make(workspace: Workspace, title: str = "t") -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def circuit(of: Destination) -> str:
    return backlogs([of.pk])[of.pk].circuit if of.pk in backlogs([of.pk]) else "closed"


def kinds(of: Workspace) -> Counter[str]:
    return Counter(kind for kind in told(of) if kind.startswith("destination_"))


def test_a_destination_that_fails_is_left_alone_and_spends_nothing(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        for number in range(9):
            make(workspace, str(number))
        deliver()
        assert len(out.came) == 5
        assert circuit(there) == "open"
        make_due()
        deliver()
        assert len(out.came) == 5
    rows = Delivery.objects.filter(destination=there).order_by("sequence")
    assert list(rows.values_list("attempts", "failures")) == [(1, 1)] * 5 + [(0, 0)] * 4
    assert set(rows.values_list("state", flat=True)) == {"pending"}
    assert kinds(workspace) == {OPENED: 1}
    event = factories.log(workspace)[-1]
    events = [one for one in factories.log(workspace) if one.type == OPENED]
    assert events[0].data["error"] == "http_5xx"
    assert events[0].data["destination"]["id"] == str(there.pk)
    assert event.seq == len(factories.log(workspace))


def test_an_outage_is_told_of_once_and_its_end_once(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 30)
        deliver()
        for _ in range(3):
            let_pass(there, 601)
            deliver()
        assert len(out.came) == 8
        assert kinds(workspace) == {OPENED: 1}
        out.answer = ok
        let_pass(there, 601)
        deliver()
        let_pass(there, 20)
        sweep()
        assert circuit(there) == "closed"
        deliver()
        make_due()
        deliver()
        sweep()
    assert kinds(workspace) == {OPENED: 1, RECOVERED: 1}
    assert set(states(there)) == {"succeeded"}


def test_a_ramp_that_is_used_up_goes_on_beyond_its_shortest_end(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fast receiver is not let loose on while the ramp still holds something back."""
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 300)
        deliver()
        out.answer = ok
        let_pass(there, 31)
        deliver()  # the probe, and what the first second lets through
        let_pass(there, 3)
        deliver()
        monkeypatch.setattr(ramp, "UNUSED", 3600.0)  # however slow this machine is
        monkeypatch.setattr(ramp, "LONGEST", 7200.0)
        sweep()
        assert circuit(there) == "ramping"
        let_pass(there, 3601)  # nothing was sent meanwhile
        sweep()
        assert circuit(there) == "closed"


def test_one_poisonous_message_stops_no_other(workspace: Workspace) -> None:
    """Whoever answers 400 is there."""

    async def chokes(came: Came, exchange: Exchange) -> None:
        await exchange.answer(400 if came.data["task"]["title"] == "poison" else 200)

    with sink(chokes) as out:
        there = to(workspace, out.url, max_concurrency=1)
        for number in range(12):
            make(workspace, "poison" if number < 8 else "good")
        deliver()
        assert len(out.came) == 12
    assert circuit(there) == "closed"
    assert Counter(states(there)) == {"pending": 8, "succeeded": 4}


def test_a_success_after_the_outage_lets_order_per_task_hold(workspace: Workspace) -> None:
    with sink(status(503)) as out:
        there = to(workspace, out.url, max_concurrency=2)
        tasks = [make(workspace, "0") for _ in range(6)]
        for version in ("1", "2"):
            for task in tasks:
                update_task(
                    workspace_id=workspace.pk,
                    task_id=task.pk,
                    fields={"title": version},
                    cause=cause(),
                )
        deliver()
        assert circuit(there) == "open"
        failed = len(out.came)
        out.answer = ok
        for _ in range(12):
            let_pass(there, 31)
            make_due()
            deliver()
            sweep()
    assert set(states(there)) == {"succeeded"}
    for task in tasks:
        titles = [
            one.data["task"]["title"] for one in out.came[failed:] if one.task == str(task.pk)
        ]
        assert titles == ["0", "1", "2"]


def test_the_api_tells_open_probing_ramping_and_closed(workspace: Workspace) -> None:
    gate = threading.Event()
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 20)
        deliver()
        seen = [circuit(there)]
        out.answer = held(gate)
        let_pass(there, 31)
        came = len(out.came)
        draining = in_thread(deliver)
        out.wait_for(came + 1)
        seen.append(circuit(there))
        gate.set()
        draining.result(DEADLINE)
        seen.append(circuit(there))
        let_pass(there, 20)
        sweep()
        seen.append(circuit(there))
    assert seen == ["open", "probing", "ramping", "closed"]


def test_resuming_lets_a_probe_go_at_once(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 20)
        deliver()
        out.answer = ok
        for _ in range(2):
            resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        deliver()
        assert len(out.came) > 5
        assert circuit(there) == "ramping"
    assert kinds(workspace)["destination_resumed"] == 1


def test_a_change_of_the_address_lets_a_probe_go_at_once(workspace: Workspace) -> None:
    with sink(status(500)) as old, sink() as new:
        there = to(workspace, old.url, max_concurrency=1)
        backlog(there, 20)
        deliver()
        change_destination(
            workspace_id=workspace.pk,
            destination_id=there.pk,
            fields={"url": new.url},
            cause=cause(),
        )
        deliver()
        assert len(new.came) >= 1
    assert circuit(there) == "ramping"


def test_a_recovered_destination_is_never_sent_more_than_its_ramp_allows(
    workspace: Workspace,
) -> None:
    """Measured at the receiver: by the end of second k at most 1 + 2 + … + 2^k have come."""
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=50)
        backlog(there, 400)
        deliver()
        assert circuit(there) == "open"
        out.answer = ok
        let_pass(there, 31)
        last, failed = Attempt.objects.count(), len(out.came)
        until(lambda: _drained(out) - failed >= 12, "the ramp has let 12 through")
        since = Circuit.objects.get(pk=there.pk).since
    started = Attempt.objects.order_by("started_at").values_list("started_at", flat=True)[last:]
    after = [(at - since).total_seconds() for at in started if at > since]
    assert len(after) >= 11  # the probe came before
    for second in range(12):
        came = sum(1 for at in after if at < second + 1 - 0.01)
        assert came <= 2 ** (second + 1) - 1


def _drained(out: Sink) -> int:
    deliver()
    sweep()
    return len(out.came)


def test_nothing_but_failures_for_days_pauses_and_resuming_loses_nothing(
    workspace: Workspace,
) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        task = make(workspace, "a")
        for title in "bc":
            update_task(
                workspace_id=workspace.pk, task_id=task.pk, fields={"title": title}, cause=cause()
            )
        backlog(there, 20)
        deliver()
        let_pass(there, 5 * 86_400)
        deliver()
        there.refresh_from_db()
        assert (there.state, there.paused_reason) == (
            "auto_paused",
            "Nothing but failures for 5 days.",
        )
        assert kinds(workspace) == {OPENED: 1, "destination_auto_paused": 1}
        came = len(out.came)
        make_due()
        deliver()
        assert len(out.came) == came
        out.answer = ok
        resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        for _ in range(8):
            let_pass(there, 20)
            make_due()
            deliver()
            sweep()
    assert set(states(there)) == {"succeeded"}
    titles = [one.data["task"]["title"] for one in out.came if one.task == str(task.pk)]
    assert titles[-3:] == ["a", "b", "c"]
    assert set(titles[:-3]) == {"a"}


def test_a_success_in_between_keeps_it_going(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 20)
        deliver()
        let_pass(there, 3 * 86_400)
        out.answer = ok
        deliver()
        let_pass(there, 3 * 86_400)
        out.answer = status(500)
        make_due()
        deliver()
    there.refresh_from_db()
    assert there.state == "active"


def test_days_of_refusals_pause_too(workspace: Workspace) -> None:
    with sink(status(401)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 6)
        deliver()
        let_pass(there, 6 * 86_400)
        make_due()
        deliver()
    there.refresh_from_db()
    assert there.state == "auto_paused"
    assert circuit(there) == "closed"


def test_nobody_is_pausing_what_was_paused_by_hand(workspace: Workspace) -> None:
    gate = threading.Event()
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 8)
        deliver()
        let_pass(there, 5 * 86_400)
        out.answer = held(gate, status(500))
        draining = in_thread(deliver)
        out.wait_for(6)
        pause_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        gate.set()
        draining.result(DEADLINE)
    there.refresh_from_db()
    assert there.state == "paused"
    assert "destination_auto_paused" not in told(workspace)


def test_outbound_disabled_stops_all_and_loses_nothing(
    workspace: Workspace, settings: Settings
) -> None:
    """Deliveries, probes, ramps and mails to owners alike."""
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 40)
        deliver()
        let_pass(there, 601)
        settings.OUTBOUND_ENABLED = False
        before = list(Delivery.objects.order_by("pk").values_list("state", "attempts", "failures"))
        came = len(out.came)
        for _ in range(2):
            deliver()
            sweep()
        assert not is_due()
        assert len(out.came) == came
        assert Notice.objects.get().tries == 0
        now = list(Delivery.objects.order_by("pk").values_list("state", "attempts", "failures"))
        assert now == before
        settings.OUTBOUND_ENABLED = True
        out.answer = ok
        for _ in range(10):
            let_pass(there, 20)
            make_due()
            deliver()
            sweep()
    assert set(states(there)) == {"succeeded"}
    assert len({one.id for one in out.came}) == 40


def test_a_hold_by_retry_after_outlasts_an_open_circuit(workspace: Workspace) -> None:
    with sink(status(429, Retry_After="600")) as out:
        there = to(workspace, out.url, max_concurrency=5)
        backlog(there, 20)
        deliver()
        assert len(out.came) == 5
        assert circuit(there) == "open"
        let_pass(there, 300)
        Delivery.objects.update(next_attempt_at=F("next_attempt_at") - timedelta(seconds=300))
        deliver()
        assert len(out.came) == 5
        let_pass(there, 301)
        out.answer = ok
        deliver()
        assert len(out.came) > 5


def test_closing_a_ramp_twice_tells_once(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        backlog(there, 20)
        deliver()
        out.answer = ok
        let_pass(there, 31)
        deliver()
        let_pass(there, 20)
        futures = [in_thread(ramp.close_ramps) for _ in range(2)]
        assert sum(future.result(DEADLINE) for future in futures) == 1
    assert kinds(workspace) == {OPENED: 1, RECOVERED: 1}


def test_a_drain_ends_while_a_rate_holds_the_rest_back(workspace: Workspace) -> None:
    """It neither waits for an hour nor asks again and again."""
    with sink() as out:
        there = to(workspace, out.url, rate_limit={"requests": 3, "seconds": 3600})
        backlog(there, 20)
        deliver()
        assert len(out.came) == 3
        assert not is_due()
        let_pass(there, 4000)
        assert is_due()
        deliver()
        assert len(out.came) == 6
    assert Counter(states(there)) == {"succeeded": 6, "pending": 14}


def test_one_drain_keeps_up_with_a_rate_of_many_a_second(workspace: Workspace) -> None:
    """It stays for what is let through soon, so no bell is needed in between."""
    with sink() as out:
        there = to(workspace, out.url, rate_limit={"requests": 40, "seconds": 1})
        backlog(there, 60)
        deliver()
        if len(out.came) < 60:  # a full window is longer than a drain stays
            until(lambda: _drained(out) == 60, "the rate lets the rest through")
    moments = Delivery.objects.values_list("trying_since", flat=True)
    leased = sorted(at for at in moments if at is not None)
    pairs = zip(leased, leased[40:], strict=False)
    assert all(later - one >= timedelta(seconds=1) for one, later in pairs)
