"""A schedule makes its tasks: once each, like any other task, and what is wrong stops nobody."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tasks_app import recurring
from tasks_app.actions.schedule import clock, pause_schedule, resume_schedule
from tasks_app.actions.task import delete_task
from tasks_app.events.wire import event_to_wire
from tasks_app.models import Delivery, Schedule, ScheduleOccurrence, Task, Workspace
from tasks_app.recurring import forget_old_occurrences, make_scheduled
from tests.support import factories
from tests.support.factories import cause
from tests.support.schedules import SELDOM, came, created, schedule, set_next, times, told

pytestmark = pytest.mark.django_db(transaction=True)


def now_on() -> datetime:
    """Return this minute of the database's."""
    return clock().replace(second=0, microsecond=0)


def test_what_is_due_becomes_a_task_like_any_other(workspace: Workspace) -> None:
    there = factories.destination(workspace)
    template = {"title": "Water the plants", "priority": "high", "labels": ["home"], "due_in": 3600}
    every = schedule(workspace, "Plants", cron=SELDOM, template=template)
    at = came(every)
    make_scheduled()
    (task,) = Task.objects.in_workspace(workspace.pk).with_sync()
    assert (task.title, task.priority, task.labels, task.number) == (
        "Water the plants",
        "high",
        ["home"],
        1,
    )
    assert (task.created_by, task.due_at) == ("Plants", at + timedelta(hours=1))
    assert task.sync_state == "scheduled"
    (event,) = created(workspace)
    wire = event_to_wire(event)
    assert wire["actor"] == {"kind": "schedule", "id": str(every.pk), "name": "Plants"}
    assert wire["schedule"]["occurrence"] == at.strftime("%Y-%m-%dT%H:%M:00.000000Z")
    assert Delivery.objects.get(destination=there).event_seq == event.seq
    every.refresh_from_db()
    assert (every.last_at, every.version, every.error) == (at, 1, "")
    assert every.next_at
    assert every.next_at > clock()
    assert list(every.occurrences.values_list("at", "task_id", "error")) == [(at, task.pk, "")]


def test_nothing_is_made_before_its_time_nor_twice(workspace: Workspace) -> None:
    every = schedule(workspace, cron=SELDOM)
    set_next(now_on() + timedelta(minutes=1), every)
    make_scheduled()
    assert created(workspace) == []
    came(every)
    for _ in range(3):
        make_scheduled()
    assert len(created(workspace)) == len(times(every)) == 1


def test_what_is_late_is_made_one_by_one_in_order(workspace: Workspace) -> None:
    every = schedule(workspace, cron="* * * * *")
    first = came(every, ago=timedelta(minutes=14))
    make_scheduled()
    made = times(every)
    assert made[0] == first
    assert made == [first + timedelta(minutes=n) for n in range(len(made))]
    assert len(made) in {15, 16}  # as the minute turns
    told_of = [event.data["schedule"]["occurrence"] for event in created(workspace)]
    assert told_of == sorted(told_of)
    assert list(told(workspace, "schedule_missed")) == []


@pytest.mark.parametrize(("rule", "made"), [("last", 1), ("all", 5), ("none", 0)])
def test_after_a_downtime_the_rule_decides(workspace: Workspace, rule: str, made: int) -> None:
    """Five times were missed, the last of them half an hour ago."""
    half = clock() - timedelta(minutes=30)
    every = schedule(workspace, cron=f"{half.minute} * * * *", catch_up=rule)
    last = half.replace(second=0, microsecond=0)
    set_next(last - timedelta(hours=4), every)
    make_scheduled()
    assert times(every) == [last - timedelta(hours=n) for n in reversed(range(made))]
    every.refresh_from_db()
    assert every.next_at == last + timedelta(hours=1)
    missed = [data["missed"] for data in told(workspace, "schedule_missed")]
    assert len(missed) == (rule != "all")
    assert len(created(workspace)) == made


def test_the_most_that_is_caught_up_are_the_newest_hundred(workspace: Workspace) -> None:
    every = schedule(workspace, cron="*/2 * * * *", catch_up="all")
    at = now_on()
    set_next(at.replace(minute=0) - timedelta(days=400), every)
    for _ in range(8):
        make_scheduled()
    made = times(every)
    late = [one for one in made if one > at - timedelta(minutes=15)]
    assert len(made) - len(late) in {99, 100, 101}  # as time goes by
    assert made == sorted(made)
    assert all(b - a == timedelta(minutes=2) for a, b in itertools.pairwise(made))
    (data,) = told(workspace, "schedule_missed")
    assert data["missed"]["before"] == made[0].strftime("%Y-%m-%dT%H:%M:00.000000Z")


def test_what_was_missed_while_it_was_paused_is_not_made(workspace: Workspace) -> None:
    every = schedule(workspace, cron="* * * * *")
    pause_schedule(workspace_id=workspace.pk, schedule_id=every.pk, cause=cause())
    Schedule.objects.update(since=clock() - timedelta(minutes=10))
    make_scheduled()
    resumed = resume_schedule(workspace_id=workspace.pk, schedule_id=every.pk, cause=cause())
    assert resumed.next_at
    assert resumed.next_at > clock()
    make_scheduled()
    assert times(every) == []


def test_what_was_due_before_a_pause_is_made_before_it(workspace: Workspace) -> None:
    every = schedule(workspace, cron=SELDOM)
    at = came(every)
    pause_schedule(workspace_id=workspace.pk, schedule_id=every.pk, cause=cause())
    assert times(every) == [at]
    assert [e.type for e in factories.log(workspace)][-2:] == ["task_created", "schedule_paused"]


def spoil(one: Schedule, **template: Any) -> None:
    """Let a template be one that an older release took and this database refuses."""
    one.template |= template
    one.save(update_fields=["template"])


def test_a_template_that_is_refused_stops_nobody_and_says_why(workspace: Workspace) -> None:
    good, bad, also = (schedule(workspace, name, cron=SELDOM) for name in ("a", "b", "c"))
    spoil(bad, title="x" * 300)
    at = came(good, bad, also)
    make_scheduled()
    assert [times(one) for one in (good, also)] == [[at], [at]]
    assert Task.objects.count() == 2
    bad.refresh_from_db()
    assert bad.error == "The task was refused: value too long for type character varying(200)"
    assert bad.state == "active"
    assert bad.next_at
    assert bad.next_at > clock()
    (data,) = told(workspace, "schedule_failed")
    assert data["schedule"]["id"] == str(bad.pk)
    assert data["error"] == bad.error
    assert data["occurrences"] == [at.strftime("%Y-%m-%dT%H:%M:00.000000Z")]
    spoil(bad, title="short")
    came(bad)
    ScheduleOccurrence.objects.all().delete()
    make_scheduled()
    bad.refresh_from_db()
    assert (bad.error, len(times(bad))) == ("", 1)


def test_a_schedule_whose_time_zone_is_gone_is_paused_and_says_so(workspace: Workspace) -> None:
    lost, other = schedule(workspace, cron=SELDOM), schedule(workspace, cron=SELDOM)
    Schedule.objects.filter(pk=lost.pk).update(time_zone="Atlantis/Poseidonis")
    came(lost, other)
    make_scheduled()
    lost.refresh_from_db()
    assert (lost.state, lost.next_at) == ("paused", None)
    assert lost.error == "There is no such time zone any more: Atlantis/Poseidonis"
    assert [data["error"] for data in told(workspace, "schedule_failed")] == [lost.error]
    assert len(times(other)) == 1


def test_an_occurrence_that_has_a_row_is_not_made_once_more(workspace: Workspace) -> None:
    """The belt: should the row of the schedule be put back, as by a hand in the database."""
    every = schedule(workspace, cron=SELDOM)
    at = came(every)
    make_scheduled()
    set_next(at, every)
    make_scheduled()
    assert Task.objects.count() == 1
    assert times(every)[0] == at


@pytest.mark.parametrize("due", [True, False], ids=["due-by-the-old-data", "not-yet-due"])
def test_other_data_of_a_time_zone_moves_what_is_to_come(
    workspace: Workspace, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the old data the clock in Berlin showed the same an hour before."""
    monkeypatch.setattr(recurring, "_walk", recurring.Walk())
    hour = clock().replace(minute=0, second=0, microsecond=0)
    wrong = hour if due else hour + timedelta(days=1)
    right = wrong + timedelta(hours=1)
    name = datetime.fromtimestamp(right.timestamp(), UTC)
    every = schedule(workspace, cron=f"0 {name.hour} * * *", time_zone="UTC")
    set_next(wrong, every, local=right)
    make_scheduled()
    every.refresh_from_db()
    assert every.next_at == right
    assert times(every) == []


def test_the_task_may_be_deleted_and_old_occurrences_are_forgotten(workspace: Workspace) -> None:
    every = schedule(workspace, cron=SELDOM)
    came(every)
    make_scheduled()
    task = Task.objects.get()
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    assert len(times(every)) == 1
    assert forget_old_occurrences() == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE schedule_occurrence SET created_at = now() - interval '91 days'")
    assert forget_old_occurrences() == 1
