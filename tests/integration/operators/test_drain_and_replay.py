"""`manage.py drain` and `manage.py replay`: the engine without workers, the API without HTTP."""

import io
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from tasks_app import recurring
from tasks_app.actions.task import create_task, update_task
from tasks_app.delivery.sweep import clear_up
from tasks_app.exchange import step, walk
from tasks_app.management.commands import drain
from tasks_app.models import (
    Delivery,
    ProcessBeat,
    Replay,
    ReplayState,
    Schedule,
    Task,
    Workspace,
)
from tests.support import factories
from tests.support.api_server import database_url
from tests.support.engine import deliver, states, to
from tests.support.factories import cause
from tests.support.imports import begin
from tests.support.schedules import came, schedule
from tests.support.sink import held, sink, status
from tests.support.threads import in_thread, until

CHECKOUT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def workspace() -> Workspace:
    return factories.workspace()


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def write(workspace: Workspace, tasks: int = 3) -> None:
    """Create tasks and change each once."""
    for number in range(tasks):
        fields = {"title": f"{number}.0"}
        task = create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
        changed = {"title": f"{number}.1"}
        update_task(workspace_id=workspace.pk, task_id=task.pk, fields=changed, cause=cause())


def test_a_drain_delivers_all_that_is_due_and_ends_without_beat_worker_or_valkey(
    workspace: Workspace, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with sink() as out:
        there = to(workspace, out.url)
        write(workspace)
        told = run("drain")
    assert len(out.came) == 6
    assert set(states(there)) == {"succeeded"}
    assert "6 succeeded" in told
    assert not ProcessBeat.objects.exists()
    assert "nothing was due" in run("drain")


def test_a_drain_does_not_wait_for_retries_and_says_when_they_are_due(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        to(workspace, out.url)
        write(workspace, tasks=1)
        told = run("drain")
    assert len(out.came) == 1
    assert "1 pending" in told
    assert "2 wait for later" in told
    assert "the next at 20" in told


def test_a_drain_takes_over_what_a_dead_worker_had_leased(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url)
        write(workspace, tasks=1)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE delivery SET state = 'leased', claim_id = gen_random_uuid(), leases = 1,"
                " leased_by = 'dead', lease_expires_at = now() + interval '1 hour'"
                " WHERE state = 'pending'"
            )
        run("drain")
        assert set(states(there)) == {"succeeded"}
    assert len(out.came) == 2


def test_nothing_goes_out_where_sending_is_switched_off(
    workspace: Workspace, settings: Settings
) -> None:
    settings.OUTBOUND_ENABLED = False
    with sink() as out:
        to(workspace, out.url)
        write(workspace, tasks=1)
        with pytest.raises(CommandError, match="OUTBOUND_ENABLED"):
            run("drain")
    assert not out.came


def test_a_drain_that_is_told_to_stop_finishes_what_it_has_sent(workspace: Workspace) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out:
        there = to(workspace, out.url, max_concurrency=1)
        write(workspace)
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
        process = subprocess.Popen(
            [sys.executable, "manage.py", "drain"],
            cwd=CHECKOUT,
            env={**os.environ, **settings, "DATABASE_URL": database_url()},
            stdout=subprocess.DEVNULL,
        )
        until(lambda: len(out.came) == 1, "the drain sends")
        process.send_signal(signal.SIGTERM)
        gate.set()
        assert process.wait(60) == 0
    assert states(there).count("succeeded") == len(out.came) == 1
    assert "leased" not in states(there)


def test_a_replay_is_made_watched_and_delivered(workspace: Workspace) -> None:
    with sink() as out:
        there = to(workspace, out.url, name="mine")
        write(workspace)
        deliver()
        first = [came.id for came in out.came]
        assert "would make 6" in run("replay", workspace.slug, "mine", "--from-seq=1", "--dry-run")
        assert not Replay.objects.exists()
        watched = in_thread(
            lambda: run("replay", workspace.slug, str(there.pk), "--from-seq=1", "--wait")
        )
        while not watched.done():
            clear_up()
            deliver()
        told = watched.result()
    assert "deliveries to make: 6" in told
    assert "Done: " in told
    assert sorted(came.id for came in out.came) == sorted(first * 2)
    (made,) = Replay.objects.all()
    assert made.actor["name"] == "manage.py replay"


def test_a_drain_walks_replays_and_stops_at_their_end(workspace: Workspace) -> None:
    with sink() as out:
        to(workspace, out.url, name="mine")
        write(workspace)
        run("drain")
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        run("replay", workspace.slug, "mine", f"--to-time={soon}", "--state=succeeded")
        run("drain")
    assert len(out.came) == 12
    assert Replay.objects.get().state == ReplayState.DONE
    assert not Delivery.objects.unfinished().exists()


def test_a_drain_takes_all_rows_of_an_import_and_makes_all_of_its_schedules(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rounds of a slice each it takes, and though nothing is sent meanwhile."""
    monkeypatch.setattr(drain, "IN_VAIN", 1)
    monkeypatch.setattr(walk, "SLICE", 0.01)  # a step or two
    monkeypatch.setattr(recurring, "SLICE", 0.0)  # a turn
    monkeypatch.setattr(step, "STEP", 3)
    every = [schedule(workspace, cron="* * * * *") for _ in range(10)]
    came(*every, ago=timedelta(minutes=14))
    job = begin(workspace, b"title\n" + b"row\n" * 30)
    assert "nothing was due" in run("drain")
    job.refresh_from_db()
    assert (job.state, job.created) == ("done", 30)
    assert not Schedule.objects.due().exists()
    assert Task.objects.count() >= 30 + 140


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nobody", "mine", "--from-seq=1"], "no workspace nobody"),
        (["{slug}", "other", "--from-seq=1"], "It has: mine"),
        (["{slug}", "mine"], "Choose what"),
        (["{slug}", "mine", "--from-seq=1", "--to-time=2026-01-01"], "not by both"),
        (["{slug}", "mine", "--from-seq=9", "--to-seq=1"], "before it begins"),
        (["{slug}", "mine", "--from-time=yesterday"], "ISO 8601"),
        (["{slug}", "mine", "--state=pending"], "invalid choice"),
        (["{slug}", "mine", "--from-seq=1", "--rate=0"], "A rate is 1 to"),
        (["{slug}", "mine", "--from-seq=1", "--rate=-5"], "A rate is 1 to"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused_with_a_sentence(
    workspace: Workspace, arguments: list[str], why: str
) -> None:
    to(workspace, "http://127.0.0.1:9/", name="mine")
    with pytest.raises(CommandError, match=why):
        run("replay", *(word.format(slug=workspace.slug) for word in arguments))
    assert not Replay.objects.exists()
