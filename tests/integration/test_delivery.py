"""From a committed row to a request that arrived and an outcome in the log."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook

from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.actions.destination import (
    delete_destination,
    pause_destination,
    ping_destination,
    resume_destination,
    rotate_secret,
)
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.delivery import lease
from tasks_app.delivery.sweep import sweep
from tasks_app.exceptions import NotCancellable, NotFound, NotRetryable
from tasks_app.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Destination,
    Event,
    Task,
    TaskSync,
    Workspace,
)
from tests.support import factories
from tests.support.engine import SECRET, deliver, make_due, states, to, told
from tests.support.factories import cause
from tests.support.receiver import Exchange
from tests.support.sink import Came, ok, sink, status

pytestmark = pytest.mark.django_db(transaction=True)


def make(workspace: Workspace, title: str = "t", **fields: str) -> Task:
    """Return a new task."""
    who = cause(request_id="req-1")
    return create_task(workspace_id=workspace.pk, fields={"title": title, **fields}, cause=who)


def change(task: Task, title: str) -> None:
    """Change a task's title."""
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def sync(task: Task) -> str:
    """Return what the log last told of a task's sync."""
    return str(TaskSync.objects.get(task_id=task.pk).state)


def test_what_was_committed_arrives_and_its_outcome_is_told(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        task = make(workspace)
        assert sync(task) == "scheduled"
        deliver()
    assert [came.data["type"] for came in out.came] == ["task_created"]
    delivery = Delivery.objects.get(destination=there)
    assert (delivery.state, delivery.attempts, delivery.status_code) == ("succeeded", 1, 200)
    assert out.came[0].id == f"msg_{delivery.message_id.hex}"
    assert told(workspace) == ["task_created", "task_synced"]
    last = factories.log(workspace)[-1]
    assert last.data["delivery"]["state"] == "succeeded"
    assert last.data["task"]["sync"] == "synced" == sync(task)
    assert last.request_id == "req-1"
    attempt = Attempt.objects.get(delivery=delivery)
    assert (attempt.number, attempt.status_code, attempt.response_excerpt) == (1, 200, "ok")
    assert attempt.duration_ms > 0
    assert "headers" in attempt.phases


def test_a_request_carries_signature_sequence_and_trace(workspace: Workspace) -> None:
    bodies: list[tuple[bytes, dict[str, str]]] = []

    async def keep(_came: Came, exchange: Exchange) -> None:
        bodies.append((exchange.request.body, exchange.request.headers))
        await exchange.answer()

    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with sink(keep) as out:
        to(workspace, out.url, headers={"X-Team": "blue"})
        who = cause(traceparent=trace)
        create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=who)
        deliver()
    body, headers = bodies[0]
    Webhook(SECRET).verify(body, headers)
    assert headers["webhook-sequence"] == "1"
    assert headers["x-team"] == "blue"
    assert headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert headers["traceparent"].split("-")[2] != trace.split("-")[2]
    assert "webhook-replay" not in headers


def test_both_secrets_sign_while_a_rotation_overlaps(workspace: Workspace) -> None:
    bodies: list[tuple[bytes, dict[str, str]]] = []

    async def keep(_came: Came, exchange: Exchange) -> None:
        bodies.append((exchange.request.body, exchange.request.headers))
        await exchange.answer()

    with sink(keep) as out:
        there = to(workspace, out.url)
        _, new = rotate_secret(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        make(workspace)
        deliver()
    for secret in (SECRET, new):
        Webhook(secret).verify(*bodies[0])


def test_later_events_of_a_task_wait_for_earlier_ones_across_failures(
    workspace: Workspace,
) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url)
        task, other = make(workspace, "a"), make(workspace, "other")
        change(task, "b")
        change(task, "c")
        deliver()
        assert states(there) == ["pending", "pending", "waiting", "waiting"]
        make_due()
        out.answer = ok
        deliver()
    assert states(there) == ["succeeded"] * 4
    mine = [came for came in out.came if came.task == str(task.pk)]
    assert [came.data["task"]["title"] for came in mine] == ["a", "a", "b", "c"]
    assert mine[0].id == mine[1].id
    assert [came.attempt for came in mine] == [1, 2, 1, 1]
    assert sync(task) == sync(other) == "synced"


def test_a_failed_attempt_is_told_as_retrying(workspace: Workspace) -> None:
    with sink(status(503)) as out:
        there = to(workspace, out.url)
        task = make(workspace)
        deliver()
    assert told(workspace) == ["task_created", "task_sync_retrying"]
    assert sync(task) == "retrying"
    row = Delivery.objects.get(destination=there)
    wait = (row.next_attempt_at - factories.log(workspace)[-1].at).total_seconds()
    assert 3.9 < wait < 6.1
    assert (row.failures, row.rank, row.error, row.status_code) == (1, 2, "http_5xx", 503)


def test_the_last_failure_ends_dead_and_the_next_event_goes_out(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, retry_schedule=[5])
        task = make(workspace)
        change(task, "next")
        deliver()
        make_due()
        out.answer = _fails_first
        deliver()
    assert states(there) == ["dead", "succeeded"]
    assert told(workspace) == [
        "task_created",
        "task_updated",
        "task_sync_retrying",
        "task_sync_failed",
        "task_synced",
    ]
    assert sync(task) == "synced"


async def _fails_first(came: Came, exchange: Exchange) -> None:
    await exchange.answer(500 if came.attempt > 1 else 200)


def test_retry_after_holds_the_whole_destination(workspace: Workspace) -> None:
    with sink(status(429, Retry_After="600")) as out:
        there = to(workspace, out.url, max_concurrency=1)
        first = make(workspace, "first")
        deliver()
        make(workspace, "second")
        deliver()
        assert len(out.came) == 1
    there.refresh_from_db()
    assert there.blocked_until is not None
    row = Delivery.objects.get(destination=there, task_id=first.pk)
    at = Attempt.objects.get(delivery=row).started_at
    for until in (there.blocked_until, row.next_attempt_at):
        assert 590 < (until - at).total_seconds() < 610
    assert row.failures == 1


def test_410_pauses_the_destination_and_spends_nothing(workspace: Workspace) -> None:
    with sink(status(410)) as out:
        there = to(workspace, out.url)
        task = make(workspace)
        change(task, "later")
        deliver()
        there.refresh_from_db()
        assert there.state == "auto_paused"
        assert "410" in there.paused_reason
        assert states(there) == ["pending", "waiting"]
        assert Delivery.objects.get(destination=there, sequence=1).failures == 0
        make(workspace, "while paused")
        deliver()
        assert len(out.came) == 1
        assert told(workspace).count("destination_auto_paused") == 1
        out.answer = ok
        resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        make_due()
        deliver()
    assert states(there) == ["succeeded"] * 3
    titles = [came.data["task"]["title"] for came in out.came if came.task == str(task.pk)]
    assert titles == ["t", "t", "later"]


def test_a_paused_destination_drops_nothing(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        pause_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        task = make(workspace)
        change(task, "b")
        deliver()
        assert out.came == []
        resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        deliver()
    assert [came.sequence for came in out.came] == [1, 2]


def age(of: Destination, *, days: int) -> None:
    """Let every delivery have been tried for that long."""
    rows = Delivery.objects.filter(destination=of, trying_since__isnull=False)
    assert rows.update(trying_since=F("trying_since") - timedelta(days=days)) > 0


def test_what_was_tried_for_more_than_four_days_is_dead(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url)
        make(workspace)
        deliver()
        age(there, days=5)
        make_due()
        deliver()
    assert states(there) == ["dead"]


def test_a_long_pause_costs_no_retry(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url)
        make(workspace)
        deliver()
        pause_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        age(there, days=5)
        resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        make_due()
        deliver()
    assert states(there) == ["pending"]


def test_a_retry_by_hand_has_the_whole_schedule_before_it_however_old(
    workspace: Workspace,
) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, retry_schedule=[])
        make(workspace)
        deliver()
        age(there, days=5)
        Destination.objects.filter(pk=there.pk).update(retry_schedule=[5])
        dead = Delivery.objects.get(destination=there, state="dead")
        retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
        deliver()
    assert states(there) == ["pending"]


def test_a_ping_is_tried_once(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url)
        ping_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        deliver()
        make_due()
        deliver()
        assert [came.data["type"] for came in out.came] == ["ping"]
    assert states(there) == ["dead"]
    assert told(workspace) == ["ping", "destination_tested"]
    assert factories.log(workspace)[-1].data["delivery"]["status_code"] == 500


def test_a_fault_of_ours_spends_nothing(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        Destination.objects.filter(pk=there.pk).update(sealed_secret="v1:test:AAAA")
        make(workspace)
        deliver()
        assert out.came == []
    row = Delivery.objects.get(destination=there)
    assert (row.state, row.failures, row.attempts, row.error) == ("pending", 0, 1, "fault")


def test_a_deleted_task_is_told_of_as_it_was(workspace: Workspace) -> None:
    with sink() as out:
        to(workspace, out.url)
        task = make(workspace, "short-lived")
        delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
        deliver()
        assert [came.data["type"] for came in out.came] == ["task_created", "task_deleted"]
    outcomes = [event for event in factories.log(workspace) if event.type == "task_synced"]
    assert [event.data["task"]["title"] for event in outcomes] == ["short-lived"] * 2


def test_nothing_leaves_while_outbound_is_disabled(
    workspace: Workspace, settings: Settings
) -> None:
    settings.OUTBOUND_ENABLED = False
    with sink() as out:
        there = to(workspace, out.url)
        make(workspace)
        deliver()
        assert out.came == []
        assert states(there) == ["pending"]
        settings.OUTBOUND_ENABLED = True
        deliver()
    assert states(there) == ["succeeded"]


def test_a_rolled_back_change_is_never_sent(workspace: Workspace) -> None:
    with sink() as out:
        to(workspace, out.url, name="x")
        with pytest.raises(RuntimeError), transaction.atomic():
            make(workspace)
            raise RuntimeError
        deliver()
    assert out.came == []
    assert not Delivery.objects.exists()


def test_urgent_tasks_go_before_others_and_first_attempts_before_retries(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BY_AGE_EVERY", 10**9)
    with sink(status(500)) as out:
        to(workspace, out.url, max_concurrency=1)
        make(workspace, "retried")
        deliver()
        out.answer = ok
        make_due()
        make(workspace, "normal")
        make(workspace, "urgent", priority="urgent")
        deliver()
    assert [came.data["task"]["title"] for came in out.came[1:]] == ["urgent", "normal", "retried"]


def test_urgent_tasks_starve_nobody(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One lease in BY_AGE_EVERY takes the oldest first; here each one does."""
    monkeypatch.setattr(lease, "BY_AGE_EVERY", 1)
    with sink() as out:
        to(workspace, out.url, max_concurrency=1)
        for title, priority in (("old", "low"), ("newer", "urgent"), ("newest", "normal")):
            make(workspace, title, priority=priority)
        deliver()
    assert [came.data["task"]["title"] for came in out.came] == ["old", "newer", "newest"]


def test_a_dead_delivery_is_retried_by_hand_and_says_so(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, retry_schedule=[])
        task = make(workspace, "old")
        deliver()
        out.answer = ok
        change(task, "new")
        deliver()
        dead = Delivery.objects.get(destination=there, state="dead")
        again = retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
        assert again.state == DeliveryState.PENDING
        assert sync(task) == "synced"  # its newest delivery has arrived
        deliver()
    assert states(there) == ["succeeded", "succeeded"]
    assert out.came[-1].id == out.came[0].id
    assert out.came[-1].headers["webhook-replay"] == "retry"
    assert [came.data["task"]["title"] for came in out.came] == ["old", "new", "old"]
    assert "task_sync_scheduled" in told(workspace)


def test_a_retry_by_hand_goes_before_what_has_not_gone_yet(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, retry_schedule=[])
        task = make(workspace, "1")
        deliver()
        change(task, "2")
        change(task, "3")
        dead = Delivery.objects.get(destination=there, state="dead")
        retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
        out.answer = ok
        deliver()
    assert [came.data["task"]["title"] for came in out.came] == ["1", "1", "2", "3"]
    assert states(there) == ["succeeded"] * 3


def test_only_what_has_ended_badly_can_be_retried(workspace: Workspace) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    make(workspace)
    row = Delivery.objects.get(destination=there)
    with pytest.raises(NotRetryable):
        retry_delivery(workspace_id=workspace.pk, delivery_id=row.pk, cause=cause())
    with pytest.raises(NotFound):
        retry_delivery(workspace_id=factories.workspace().pk, delivery_id=row.pk, cause=cause())


def test_a_cancelled_delivery_lets_the_next_go(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        task = make(workspace, "1")
        change(task, "2")
        first = Delivery.objects.get(destination=there, sequence=1)
        cancel_delivery(workspace_id=workspace.pk, delivery_id=first.pk, cause=cause())
        assert states(there) == ["cancelled", "pending"]
        with pytest.raises(NotCancellable):
            cancel_delivery(workspace_id=workspace.pk, delivery_id=first.pk, cause=cause())
        deliver()
    assert [came.data["task"]["title"] for came in out.came] == ["2"]
    assert told(workspace)[-2:] == ["task_sync_cancelled", "task_synced"]


def test_what_waits_for_a_deleted_destination_is_cancelled_and_told(workspace: Workspace) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    task = make(workspace)
    change(task, "b")
    delete_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
    sweep()
    assert states(there) == ["cancelled", "cancelled"]
    assert told(workspace).count("task_sync_cancelled") == 2
    assert sync(task) == "none"


def test_one_event_is_told_to_every_destination_once(workspace: Workspace) -> None:
    with sink() as out:
        for name in "abc":
            to(workspace, out.url, name=name)
        for number in range(20):
            make(workspace, str(number))
        deliver()
    assert len(out.came) == len({came.id for came in out.came}) == 60
    assert Event.objects.in_workspace(workspace.pk).filter(type="task_synced").count() == 60
