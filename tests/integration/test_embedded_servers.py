"""PostgreSQL and Valkey from their wheels: kept data, closed doors, whatever died before."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from config.embedded.identity import birth
from config.embedded.place import settle_place
from config.embedded.ports import free_port
from config.embedded.postgres import Postgres
from config.embedded.server import Server
from config.embedded.trouble import CannotStart
from tests.support.servers import own_postgres, own_valkey, throw_away_folder


@contextmanager
def running(data_dir: Path, *, port: int | None = None) -> Iterator[tuple[Postgres, Server]]:
    """Run a cluster whose data lies in a folder that the test names."""
    place = settle_place(data_dir)
    cluster = Postgres(home=place.home, port=port or free_port(), account=place.account)
    cluster.prepare()
    server = Server(cluster.spec())
    try:
        server.start()
        yield cluster, server
    finally:
        server.stop()


def put(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def kept(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM kept ORDER BY number")]


def test_data_is_there_at_the_next_start() -> None:
    with throw_away_folder() as folder:
        with running(folder / "data") as (cluster, _):
            put(cluster.url, 1)
        with running(folder / "data") as (cluster, _):
            put(cluster.url, 2)
            assert kept(cluster.url) == [1, 2]


def test_what_was_committed_survives_a_kill_of_the_server() -> None:
    with own_postgres() as own:
        for number in range(3):
            put(own.url, number)
            own.server.kill()
            own.server.start()
        assert kept(own.url) == [0, 1, 2]


def test_a_server_that_outlived_its_supervisor_is_ended_and_its_data_kept() -> None:
    with throw_away_folder() as folder, running(folder / "data") as (cluster, first):
        put(cluster.url, 1)
        orphan = first.pid
        with running(folder / "data") as (again, _):
            assert birth(orphan) is None
            assert kept(again.url) == [1]


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle() -> None:
    with throw_away_folder() as folder:
        with running(folder / "data") as (cluster, server):
            put(cluster.url, 1)
            pid_file = next(folder.rglob("postmaster.pid"), None) or moved_pid_file(folder)
            lines = pid_file.read_text().splitlines()
            server.kill()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        with running(folder / "data") as (cluster, _):
            assert kept(cluster.url) == [1]


def moved_pid_file(folder: Path) -> Path:
    return settle_place(folder / "data").home / "postgres" / "postmaster.pid"


def test_a_start_cut_short_leaves_nothing_half_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with throw_away_folder() as folder:
        place = settle_place(folder / "data")
        cluster = Postgres(home=place.home, port=free_port(), account=place.account)
        with monkeypatch.context() as patch:
            patch.setattr(
                Postgres, "_createdb", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                cluster.prepare()
        assert not (place.home / "postgres").exists()
        with running(folder / "data") as (whole, _):
            put(whole.url, 1)


@pytest.mark.parametrize("name", ["with two spaces", "ü-漢字", "long/" + "/".join(["x" * 60] * 4)])
def test_the_path_may_hold_blanks_any_letters_and_be_long(name: str) -> None:
    with throw_away_folder() as folder:
        for number in (1, 2):
            with running(folder / name / "data") as (cluster, _):
                put(cluster.url, number)
        with running(folder / name / "data") as (cluster, _):
            assert kept(cluster.url) == [1, 2]


def test_nobody_gets_in_without_the_password() -> None:
    with own_postgres() as own:
        for login in ("aftercommit", "aftercommit:wrong", "postgres", "nobody", "root"):
            url = f"postgresql://{login}@127.0.0.1:{own.port}/aftercommit"
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url, connect_timeout=5)


def test_passwords_are_readable_by_their_owner_only_and_not_in_the_process_list() -> None:
    with throw_away_folder() as folder, running(folder / "data") as (cluster, server):
        home = settle_place(folder / "data").home
        password = (home / "postgres.password").read_text().strip()
        assert password in cluster.url
        assert (home / "postgres.password").stat().st_mode & 0o777 == 0o600
        assert (home / "postgres").stat().st_mode & 0o777 == 0o700
        assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()


def test_text_sorts_by_code_point_on_every_machine() -> None:
    with own_postgres() as own, psycopg.connect(own.url) as connection:
        rows = connection.execute("SELECT x FROM unnest(ARRAY['b','A','a','B','ä']) x ORDER BY x")
        assert [row[0] for row in rows] == ["A", "B", "a", "b", "ä"]


def test_data_of_another_version_is_a_sentence() -> None:
    with throw_away_folder() as folder:
        place = settle_place(folder / "data")
        cluster = Postgres(home=place.home, port=free_port(), account=place.account)
        cluster.prepare()
        (place.home / "postgres" / "PG_VERSION").write_text("17\n")
        with pytest.raises(CannotStart, match="made by PostgreSQL 17"):
            cluster.prepare()


def test_valkey_asks_for_its_password_and_comes_back_after_a_kill() -> None:
    with own_valkey() as own:
        client = redis.Redis.from_url(own.url)
        assert client.ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=own.port).ping()
        own.server.kill()
        own.server.start()
        assert client.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.close()


def test_a_frozen_valkey_keeps_its_connections_and_answers_nothing() -> None:
    with own_valkey() as own:
        client = redis.Redis.from_url(own.url, socket_timeout=0.2, retry=None)
        assert client.ping()
        own.server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own.server.thaw()
        assert client.ping()
        client.close()


def test_the_servers_listen_on_loopback_only() -> None:
    with own_postgres() as postgres, own_valkey() as valkey:
        for port in (postgres.port, valkey.port):
            elsewhere = subprocess.run(
                ("ss", "-Hltn", f"sport = :{port}"), capture_output=True, text=True, check=True
            ).stdout.splitlines()
            assert elsewhere
            assert all(f"127.0.0.1:{port}" in line for line in elsewhere)


def test_a_server_that_cannot_start_says_why() -> None:
    with throw_away_folder() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(CannotStart, match=r"(?s)postgres did not become ready.*in use"),
            running(folder / "data", port=port),
        ):
            pass
