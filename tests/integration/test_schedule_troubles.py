"""Occurrences outlast what is wrong for a while, and too much of them at once."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tasks_app import recurring
from tasks_app.actions import occurrence
from tasks_app.models import Schedule, Task, Workspace
from tasks_app.recurring import make_scheduled
from tests.support.schedules import SELDOM, came, created, schedule, times, told

pytestmark = pytest.mark.django_db(transaction=True)
MINUTELY = "* * * * *"
# As a statement that takes too long ends: one that makes more than ten occurrences.
TOO_MANY = """
    CREATE FUNCTION too_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM made) > 10 THEN
            RAISE EXCEPTION USING ERRCODE = 'query_canceled', MESSAGE = 'too long';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER too_many AFTER INSERT ON schedule_occurrence
        REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION too_many()
"""


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextlib.contextmanager
def meanwhile(statement: str, undo: str) -> Iterator[None]:
    execute(statement)
    try:
        yield
    finally:
        execute(undo)


def test_a_transaction_makes_a_hundred_tasks_at_most(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen minutes of ten schedules, as after a restart; others write between two turns."""
    monkeypatch.setattr(recurring, "SLICE", 0.0)  # one turn
    every = [schedule(workspace, cron=MINUTELY) for _ in range(10)]
    came(*every, ago=timedelta(minutes=14))
    make_scheduled()
    assert Task.objects.count() == 100
    make_scheduled()
    assert 140 <= Task.objects.count() <= 160
    assert {len(times(one)) for one in every} <= {14, 15, 16}  # as the minute turns
    assert not Schedule.objects.due().exists() or len(times(every[0])) == 14


def test_what_takes_too_long_at_once_is_made_in_smaller_turns(workspace: Workspace) -> None:
    every = [schedule(workspace, cron=SELDOM) for _ in range(30)]
    at = came(*every)
    with meanwhile(TOO_MANY, "DROP FUNCTION too_many CASCADE"):
        sweeps = 0
        while Schedule.objects.due().exists():
            make_scheduled()
            sweeps += 1
            assert sweeps < 20
    assert [times(one) for one in every] == [[at]] * 30
    assert len(created(workspace)) == 30
    assert list(told(workspace, "schedule_failed")) == []


def test_a_schema_of_another_release_costs_no_occurrence(workspace: Workspace) -> None:
    """As where a worker of the old release still runs when the new one has migrated."""
    every = schedule(workspace, cron=SELDOM)
    at = came(every)
    table = "ALTER TABLE task RENAME"
    with meanwhile(f"{table} labels TO tags", f"{table} tags TO labels"):
        make_scheduled()
    every.refresh_from_db()
    assert (every.next_at, every.error, times(every)) == (at, "", [])
    make_scheduled()
    assert times(every) == [at]
    assert Task.objects.count() == len(created(workspace)) == 1


@pytest.mark.parametrize("lasting", [False, True])
def test_what_nobody_foresaw_is_tried_again_before_the_time_is_given_up(
    workspace: Workspace, lasting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "TRIES", 3)  # two in the first sweep, as the other moves on
    bad, good = (schedule(workspace, cron=SELDOM) for _ in range(2))
    at, real = came(bad, good), occurrence._task

    def full(one: Schedule, when: Any) -> Task:
        if one.pk == bad.pk:
            raise MemoryError
        return real(one, when)

    monkeypatch.setattr(occurrence, "_task", full)
    for _ in range(2):
        make_scheduled()
        bad.refresh_from_db()
        assert (bad.next_at, bad.error, times(good)) == (at, "", [at])
    if not lasting:
        monkeypatch.setattr(occurrence, "_task", real)
    make_scheduled()
    bad.refresh_from_db()
    assert bad.error == ("The task could not be made: MemoryError" if lasting else "")
    assert times(bad) == [at]
    assert Task.objects.count() == (1 if lasting else 2)
