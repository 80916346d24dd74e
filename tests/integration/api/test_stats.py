"""`GET stats/`: how a workspace stands, its own and nobody else's, whatever has happened."""

from typing import Any

import pytest
from django.db import connection

from tasks_app.models import Attempt, AttemptCount, Destination, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller
from tests.support.engine import deliver, to
from tests.support.sink import sink

pytestmark = pytest.mark.django_db
NOTHING = {
    "attempts": 0,
    "succeeded": 0,
    "success_rate": None,
    "p50_ms": None,
    "p95_ms": None,
    "p99_ms": None,
}


def stats(api: Caller) -> Any:
    answer = api.get("stats/")
    assert answer.status == 200, answer.raw
    assert "Stream-Cursor" in answer.headers
    return answer.body


def try_all(there: Destination, *outcomes: tuple[float, str]) -> None:
    """Write attempts of the newest delivery down as settling does: all in one statement."""
    delivery = there.deliveries.latest("id")
    Attempt.objects.bulk_create(
        Attempt(delivery=delivery, number=n, started_at=there.created_at, duration_ms=ms, error=e)
        for n, (ms, e) in enumerate(outcomes, delivery.attempt_set.count() + 1)
    )


def shift(there: Destination, back: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE attempt_count SET slot = slot - %s::interval WHERE destination_id = %s",
            [back, there.pk],
        )


def test_an_empty_workspace_has_nothing(api: Caller) -> None:
    told = stats(api)
    assert told["tasks"]["total"] == 0
    assert told["tasks"]["by_status"] == dict.fromkeys(
        ["open", "in_progress", "done", "cancelled"], 0
    )
    assert told["backlog"] == {"pending": 0, "oldest_due_at": None, "oldest_due_age": None}
    assert told["hour"] == told["day"] == NOTHING
    assert told["destinations"] == []


def test_tasks_are_counted_by_status_and_sync(api: Caller, workspace: Workspace) -> None:
    api.post("tasks/", {"title": "a"})
    factories.destination(workspace)
    for status in ("open", "done"):
        api.post("tasks/", {"title": "b", "status": status})
    caller(factories.workspace()).post("tasks/", {"title": "theirs"})
    told = stats(api)["tasks"]
    assert (told["total"], told["by_status"]["open"], told["by_status"]["done"]) == (3, 2, 1)
    assert (told["by_sync"]["none"], told["by_sync"]["scheduled"]) == (1, 2)


def test_what_waits_is_told_with_its_age(api: Caller, workspace: Workspace) -> None:
    there = factories.destination(workspace, name="CRM")
    for _ in range(2):
        api.post("tasks/", {"title": "a"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery SET next_attempt_at = now() - interval '90 s'")
    told = stats(api)
    (one,) = told["destinations"]
    assert (one["id"], one["name"], one["state"], one["circuit"]) == (
        *(str(there.pk), "CRM", "active", "closed"),
    )
    for place in (one, told["backlog"]):
        assert place["pending"] == 2
        assert 90 <= place["oldest_due_age"] < 150
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery SET next_attempt_at = now() + interval '1 hour'")
    assert stats(api)["backlog"]["oldest_due_age"] is None


def test_durations_and_success_are_told_for_the_hour_and_the_day(
    api: Caller, workspace: Workspace
) -> None:
    there, other = (factories.destination(workspace) for _ in range(2))
    api.post("tasks/", {"title": "a"})
    try_all(there, *[(100.0, "")] * 94, *[(1000.0, "timeout")] * 4, *[(15_000.0, "timeout")] * 2)
    told = stats(api)
    (mine,) = (one for one in told["destinations"] if one["id"] == str(there.pk))
    assert mine["hour"] == mine["day"] == told["hour"]
    assert (mine["hour"]["attempts"], mine["hour"]["success_rate"]) == (100, 0.94)
    assert mine["hour"]["p50_ms"] == pytest.approx(100, rel=0.05)
    assert mine["hour"]["p95_ms"] == pytest.approx(1000, rel=0.05)
    assert mine["hour"]["p99_ms"] == pytest.approx(15_000, rel=0.05)
    try_all(other, (1.0, ""), (1.0, ""))
    assert stats(api)["hour"]["attempts"] == 102
    shift(there, "2 hours")
    told = stats(api)
    assert (told["hour"]["attempts"], told["day"]["attempts"]) == (2, 102)
    shift(there, "23 hours")
    assert stats(api)["day"]["attempts"] == 2


@pytest.mark.parametrize("duration", [0.0, 0.01, 1e-9, 0.3, 60_000.0, 1e9])
def test_any_duration_has_its_place(api: Caller, workspace: Workspace, duration: float) -> None:
    there = factories.destination(workspace)
    api.post("tasks/", {"title": "a"})
    try_all(there, (duration, ""))
    p50 = stats(api)["day"]["p50_ms"]
    assert p50 == pytest.approx(max(duration, 0.1), rel=0.05, abs=0.01)


def test_nothing_of_another_workspace_and_of_a_deleted_destination_is_counted(
    api: Caller, workspace: Workspace
) -> None:
    theirs = factories.destination(factories.workspace())
    caller(theirs.workspace).post("tasks/", {"title": "a"})
    try_all(theirs, (1.0, ""))
    gone = factories.destination(workspace)
    api.post("tasks/", {"title": "a"})
    try_all(gone, (1.0, ""))
    assert AttemptCount.objects.count() == 2
    api.delete(f"destinations/{gone.pk}/")
    told = stats(api)
    assert (told["destinations"], told["day"], told["backlog"]["pending"]) == ([], NOTHING, 0)


def test_only_known_parameters(api: Caller) -> None:
    assert api.get("stats/?since=yesterday").status == 400


@pytest.mark.django_db(transaction=True)
def test_real_attempts_are_counted_as_they_are_settled(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        api = caller(workspace)
        for _ in range(3):
            api.post("tasks/", {"title": "a"})
        deliver()
    (one,) = stats(api)["destinations"]
    assert (one["id"], one["pending"]) == (str(there.pk), 0)
    assert (one["hour"]["attempts"], one["hour"]["success_rate"]) == (3, 1.0)
    assert 0 < one["hour"]["p50_ms"] < 15_000
