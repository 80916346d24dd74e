"""The doctor finds what is broken, names it, says what to do, and keeps secrets to itself."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.db import connection
from pytest_django.fixtures import Settings

from tasks_app.actions.task import create_task
from tasks_app.models import Delivery, Workspace
from tasks_app.models.sealed import key_ring
from tests.integration.operators.told import ask, levels, said
from tests.support import factories
from tests.support.api_server import database_url
from tests.support.engine import to
from tests.support.factories import cause
from tests.support.imports import begin
from tests.support.schedules import SELDOM, came, schedule
from tests.support.servers import own_valkey
from tests.support.smtp_server import smtp_server

CHECKOUT = Path(__file__).resolve().parents[3]
NOWHERE = "http://127.0.0.1:9"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ask_nobody(settings: Settings) -> None:
    settings.PUBLIC_URL = NOWHERE


@pytest.fixture
def workspace() -> Workspace:
    return factories.workspace()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def beats(*kinds: str) -> None:
    for kind in kinds:
        execute(
            "INSERT INTO process_beat (name, kind, started_at, seen_at)"
            f" VALUES ('{kind}', '{kind}', now(), now())"
        )


def test_what_works_is_ok() -> None:
    beats("worker", "beat")
    _, found = ask()
    for check in (
        "settings",
        "timeouts",
        "clock",
        "migrations",
        "keys",
        "worker",
        "beat",
        "backlog",
    ):
        assert levels(found, check) == {"OK"}, found[check]
    assert "PostgreSQL" in said(found, "database")


def test_a_dead_worker_and_a_dead_beat_are_failures_and_say_since_when() -> None:
    beats("beat")
    execute("UPDATE process_beat SET seen_at = now() - interval '90 seconds'")
    well, found = ask()
    assert not well
    assert levels(found, "worker") == levels(found, "beat") == {"FAIL"}
    assert "was never" in said(found, "worker")
    assert "was 90 s ago" in said(found, "beat")


def test_valkey_down_is_a_failure_that_stops_no_other_look(settings: Settings) -> None:
    with own_valkey() as valkey:
        settings.REDIS_URL = valkey.url
        assert "FAIL" not in levels(ask()[1], "broker")
        valkey.server.kill()
        well, found = ask()
    assert not well
    assert "does not answer" in said(found, "broker")
    assert levels(found, "migrations") == {"OK"}


def test_a_broker_that_evicts_and_one_that_is_full_are_named(settings: Settings) -> None:
    with own_valkey() as valkey, redis.Redis.from_url(valkey.url) as client:
        settings.REDIS_URL = valkey.url
        client.config_set("maxmemory-policy", "volatile-lru")
        client.rpush("sweep", *range(60))
        client.config_set("maxmemory", int(client.info()["used_memory"] * 1.02))
        found = ask()[1]
    assert "volatile-lru" in said(found, "broker")
    assert "of its memory is taken" in said(found, "broker")
    assert "60 in sweep" in said(found, "broker")


def test_the_second_valkey_is_looked_at_too(settings: Settings) -> None:
    with own_valkey() as valkey:
        settings.CACHE_URL = valkey.url
        valkey.server.kill()
        assert levels(ask()[1], "cache") == {"FAIL"}


@pytest.fixture
def _unapplied() -> Iterator[None]:
    execute("CREATE TABLE kept AS SELECT * FROM django_migrations WHERE app = 'tasks_app'")
    execute("DELETE FROM django_migrations WHERE app = 'tasks_app' AND name LIKE '0007%'")
    yield
    execute("INSERT INTO django_migrations SELECT * FROM kept ON CONFLICT DO NOTHING")
    execute("DROP TABLE kept")


@pytest.mark.usefixtures("_unapplied")
def test_a_missing_migration_is_a_failure_and_rows_are_left_alone() -> None:
    well, found = ask()
    assert not well
    assert "tasks_app.0007_replay" in said(found, "migrations")
    assert "manage.py migrate" in found["migrations"][0]["advice"]
    assert "keys" not in found


@pytest.fixture
def _another_key(settings: Settings) -> Iterator[None]:
    yield
    key_ring.cache_clear()


@pytest.mark.parametrize(("name", "what"), [("other", "does not have"), ("test", "same name")])
@pytest.mark.usefixtures("_another_key")
def test_a_wrong_key_is_a_failure_that_names_the_destination(
    workspace: Workspace, settings: Settings, name: str, what: str
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    settings.ENCRYPTION_KEYS = [f"{name}:{base64.b64encode(b'x' * 32).decode()}"]
    key_ring.cache_clear()
    well, found = ask()
    assert not well
    assert str(there.pk) in said(found, "keys")
    assert what in said(found, "keys")


@pytest.mark.usefixtures("_another_key")
def test_a_rotation_that_is_not_finished_is_a_warning(
    workspace: Workspace, settings: Settings
) -> None:
    to(workspace, "http://127.0.0.1:9/")
    fresh = f"fresh:{base64.b64encode(b'y' * 32).decode()}"
    settings.ENCRYPTION_KEYS = [fresh, *settings.ENCRYPTION_KEYS]
    key_ring.cache_clear()
    assert "rotate_encryption_key" in ask()[1]["keys"][0]["advice"]


def test_a_backlog_that_does_not_move_and_leases_that_nobody_takes_are_failures(
    workspace: Workspace,
) -> None:
    to(workspace, "http://127.0.0.1:9/")
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    assert levels(ask()[1], "backlog") == {"OK"}
    execute("UPDATE delivery SET next_attempt_at = now() - interval '5 minutes'")
    well, found = ask()
    assert not well
    assert "was never an attempt" in said(found, "backlog")
    Delivery.objects.update(state="leased", claim_id="00000000-0000-0000-0000-000000000001")
    execute("UPDATE delivery SET lease_expires_at = now() - interval '5 minutes'")
    assert "nobody takes them over" in said(ask()[1], "backlog")


def test_schedules_that_are_overdue_and_imports_that_stand_still_are_failures(
    workspace: Workspace,
) -> None:
    came(schedule(workspace, cron=SELDOM), ago=timedelta(minutes=2))
    begin(workspace, b"title\nx\n")
    well, found = ask()
    assert not well
    assert "1 schedules are overdue" in said(found, "backlog")
    execute("UPDATE import_job SET told_at = now() - interval '6 minutes'")
    execute("UPDATE schedule SET next_at = now()")
    assert "1 imports have stood still" in said(ask()[1], "backlog")
    execute("UPDATE import_job SET told_at = now()")
    assert levels(ask()[1], "backlog") == {"OK"}


def test_a_destination_that_is_paused_is_no_backlog_of_ours(workspace: Workspace) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    execute("UPDATE delivery SET next_attempt_at = now() - interval '5 minutes'")
    execute(f"UPDATE destination SET state = 'paused' WHERE id = '{there.pk}'")
    assert levels(ask()[1], "backlog") == {"OK"}


def test_sending_that_is_switched_off_or_wide_open_is_a_warning(settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ["0.0.0.0/0"]
    assert "0.0.0.0/0" in said(ask()[1], "outbound")
    settings.OUTBOUND_ENABLED = False
    assert "everything waits" in said(ask()[1], "outbound")


def test_a_mail_server_is_asked_and_nothing_is_sent(settings: Settings) -> None:
    assert levels(ask()[1], "mail") == {"WARN"}  # to no server at all
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.DEFAULT_FROM_EMAIL = "127.0.0.1", "tasks@example.org"
    with smtp_server() as server:
        settings.EMAIL_PORT = server.port
        assert levels(ask()[1], "mail") == {"OK"}
    assert not server.messages
    assert levels(ask()[1], "mail") == {"FAIL"}  # it is gone


def test_an_address_that_nobody_answers_at_is_a_failure() -> None:
    found = ask("--url", "http://127.0.0.1:1/")[1]
    assert levels(found, "api") == levels(found, "stream") == {"FAIL"}
    assert "127.0.0.1:1/readyz" in said(found, "api")


def run(**variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as an operator does."""
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings.test", "DATABASE_URL": database_url()}
    return subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json", "--url", NOWHERE],
        cwd=CHECKOUT,
        env={**os.environ, **settings, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_database_it_says_so_and_goes_on_without_a_secret() -> None:
    secrets = {
        "DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:1/none",
        "CACHE_URL": "redis://:hunter3@127.0.0.1:1/0",
        "SECRET_KEY": "hunter4" * 10,
        "EMAIL_URL": "smtp://user:hunter5@127.0.0.1:1",
    }
    done = run(**secrets)
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    failed = {finding["check"] for finding in findings if finding["level"] == "FAIL"}
    assert {"database", "cache", "mail", "api", "stream"} <= failed
    assert "127.0.0.1:1 does not answer" in done.stdout
    assert "hunter" not in done.stdout + done.stderr


def test_a_clock_that_is_wrong_is_found() -> None:
    done = run(PYTHONPATH=str(CHECKOUT / "tests/chaos/skew"), CHAOS_CLOCK_SKEW="-600")
    (clock,) = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "clock"]
    assert clock["level"] == "FAIL"
    assert "behind" in clock["said"]


def test_a_wrong_setting_ends_with_the_sentence_that_names_it() -> None:
    done = run(DELIVERY_IN_FLIGHT="many")
    assert done.returncode == 1
    assert "DELIVERY_IN_FLIGHT" in done.stderr
    assert "Traceback" not in done.stderr
