"""The health check of a container: unhealthy means unhealthy, whatever is wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings

from config import healthcheck
from config.embedded.ports import free_port
from config.env import CHECKOUT, Environment
from config.healthcheck import trouble
from config.roles import COMMAND, Role
from tests.support.api_server import database_url


def role(name: str, *, port: int = 0) -> Role:
    return Role(name=name, pid=os.getpid(), host="127.0.0.1", port=port)


@pytest.fixture
def database(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check find the test's own."""
    monkeypatch.setattr(healthcheck, "env", Environment({"DATABASE_URL": database_url()}))


def beat(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO process_beat (name, kind, started_at, seen_at)"
            " VALUES (%s, 'worker', now(), now())",
            [name],
        )


@pytest.mark.parametrize("name", ["api", "stream"])
def test_a_server_that_does_not_listen_or_says_nothing_is_unhealthy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trouble(role(name, port=free_port())) == f"{name}: ConnectionRefusedError"
    monkeypatch.setattr(healthcheck, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert trouble(role(name, port=silent.getsockname()[1])) == f"{name}: TimeoutError"


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_who_shows_no_sign_of_life_is_unhealthy(database: None, name: str) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert "no sign of life" in trouble(role(name))
        beat("beat" if name == "beat" else f"{socket.gethostname()[:80]}-{child.pid}-x")
        assert trouble(role(name)) == ""
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_without_a_database_they_are_unhealthy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}
    monkeypatch.setattr(healthcheck, "env", Environment(nowhere))
    assert trouble(role(name)) == f"{name}: OperationalError"


def test_where_nobody_began_it_is_unhealthy_and_a_command_is_well(tmp_path: Path) -> None:
    def asked() -> int:
        command = [sys.executable, "-m", "config.healthcheck"]
        variables = os.environ | {"TMPDIR": str(tmp_path)}
        return subprocess.run(command, cwd=CHECKOUT, env=variables, check=False).returncode

    assert asked() == 1
    begun = [sys.executable, "-m", "config.roles", "version"]
    subprocess.run(begun, cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    assert COMMAND in (tmp_path / "aftercommit-role.json").read_text()
    assert asked() == 0


def test_migrations_have_all_the_time_they_need(
    db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    settings.DEMO_ALLOWED = False
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("15s",)
        try:
            call_command("prepare")
            cursor.execute(
                "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
            )
            assert cursor.fetchone() == ("0", "5s")
        finally:
            cursor.execute("SET statement_timeout = '15s'")
