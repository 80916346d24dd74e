"""`make up`, as its user meets it: started, refused, killed, started again, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from config.embedded.identity import birth, marked_processes
from config.embedded.ports import free_port, is_free
from tests.support.house import CHECKOUT, House, running_house
from tests.support.servers import throw_away_folder

NAMES = ("proxy", "api", "stream", "beat", "worker-1", "sandbox", "valkey", "postgres")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house that these tests may damage: whatever they kill comes back."""
    with running_house() as one:
        yield one


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_taken(port: int) -> bool:
    return not is_free(port)


def up(house: House, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Start another one beside the house, with the house's choices where none are given."""
    choices = {
        "DATA_DIR": str(house.data_dir),
        "PORT": str(house.port),
        "SANDBOX_PORT": str(house.sandbox_port),
    }
    command = (sys.executable, "manage.py", "up")
    environment = {**os.environ, **choices, **variables}
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )


def title_of_a_new_task(house: House) -> str:
    title = f"kept {time.monotonic_ns()}"
    with house.client() as client:
        assert client.post("tasks/", json={"title": title}).status_code == 201
    return title


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_is_back_and_everything_is_ready_again(house: House, name: str) -> None:
    before = house.kill(name)
    until(lambda: birth(before) is None)

    def replaced() -> bool:
        try:
            return house.pid(name) != before and birth(house.pid(name)) is not None
        except (OSError, ValueError):
            return False

    until(replaced)
    house.wait_until_ready()
    assert title_of_a_new_task(house)


def test_a_second_one_on_the_same_data_is_refused_in_a_sentence(house: House) -> None:
    done = up(house)
    assert done.returncode == 1
    assert f"already running on {house.data_dir} (process {house.pid('up')})" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_a_sentence_and_nothing_is_started(house: House, name: str) -> None:
    other = "SANDBOX_PORT" if name == "PORT" else "PORT"
    for port in (house.port, house.sandbox_port):  # another test may just have killed its owner
        until(partial(is_taken, port))
    with throw_away_folder() as folder:
        done = up(house, DATA_DIR=str(folder / "data"), **{other: str(free_port())})
        assert done.returncode == 1
        assert f"{name} " in done.stdout
        assert "is taken" in done.stdout
        assert not (folder / "data" / "postgres").exists()


def test_a_secret_file_that_is_not_there_is_a_sentence_and_nothing_stays(house: House) -> None:
    """It is missed when the servers run already: they are stopped again."""
    with throw_away_folder() as folder:
        choices = {"DATA_DIR": str(folder / "data"), "SECRET_KEY": ""}
        choices |= {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        done = up(house, SECRET_KEY_FILE=str(folder / "none"), **choices)
        assert done.returncode == 1
        assert "SECRET_KEY_FILE cannot be read" in done.stdout
        assert list(folder.glob("**/*.pid")) == []


def test_the_ready_line_is_printed_once_with_lines_to_copy(house: House) -> None:
    until(lambda: "is ready at" in house.log.read_text())
    text = house.log.read_text()
    assert text.count("is ready at") == 1
    for line in ("curl -X POST", "-m websockets", f"curl http://localhost:{house.sandbox_port}/"):
        assert line in text
    assert "\x1b[" not in text


def test_commands_beside_it_find_its_database_and_its_keys(house: House) -> None:
    code = """from django.conf import settings
from tasks_app.models import Destination
print(Destination.objects.count(), *settings.ENCRYPTION_KEYS)"""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS"}
    }
    settings = {
        "DATA_DIR": str(house.data_dir),
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
    }
    done = subprocess.run(
        (sys.executable, "manage.py", "shell", "-v", "0", "-c", code),
        cwd=CHECKOUT,
        env={**inherited, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    key = house.environment()["ENCRYPTION_KEYS"]
    assert (done.stdout, done.stderr) == (f"2 {key}\n", "")
    assert (house.data_dir / "run" / "environment").stat().st_mode & 0o777 == 0o600


def test_after_a_kill_of_everything_the_next_start_has_all_and_leaves_nothing() -> None:
    with running_house() as house:
        title = title_of_a_new_task(house)
        mark = str((house.data_dir / "run").resolve())
        killed = [house.kill(name) for name in ("up", *NAMES)]
        house.process.wait()
        with running_house(
            DATA_DIR=str(house.data_dir),
            PORT=str(house.port),
            SANDBOX_PORT=str(house.sandbox_port),
        ) as again:
            until(lambda: "is ready at" in again.log.read_text())
            assert not any(birth(pid) for pid in killed)
            with house.client() as client:
                found = client.get("tasks/", params={"search": title}).json()["results"]
            assert [task["title"] for task in found] == [title]
        assert again.process.returncode == 0
        assert list(marked_processes(mark)) == []
        assert list((house.data_dir / "run").glob("*.pid")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_ends_it_cleanly(number: signal.Signals) -> None:
    with throw_away_folder() as folder:
        ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        run = folder / "data" / "run"
        process = subprocess.Popen(
            (sys.executable, "manage.py", "up"),
            cwd=CHECKOUT,
            env={**os.environ, **ports, "DATA_DIR": str(folder / "data"), "DATABASE_URL": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        until((run / "postgres.pid").exists)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Stopped. The data stays" in said
        assert list(marked_processes(str(run.resolve()))) == []
        assert list(run.glob("*.pid")) == []


def test_two_workers_and_two_streams_have_pid_files_of_their_own() -> None:
    with running_house(WORKERS="2", STREAMS="2") as house:
        pids = [house.pid(name) for name in ("worker-1", "worker-2", "stream", "stream-2")]
        assert len(set(pids)) == 4
        assert all(birth(pid) for pid in pids)
