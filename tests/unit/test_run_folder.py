"""The run folder: one `up` at a time, and no process taken for another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.identity import MARK, birth
from config.embedded.trouble import CannotStart
from config.supervisor.run_folder import RunFolder

SLEEPER = (sys.executable, "-c", "import time; print(flush=True); time.sleep(600)")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that only sleeps, past its exec."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_second_up_on_the_same_folder_is_told_whose_it_is(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    first.hold()
    first.record("up", os.getpid())
    with pytest.raises(CannotStart, match=rf"already running .*process {os.getpid()}"):
        second.hold()
    first.release()
    second.hold()
    second.release()


def test_a_recorded_process_that_was_left_behind_is_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    RunFolder(tmp_path).record("api", sleeper.pid)
    assert RunFolder(tmp_path).end_leftovers() == ["api"]
    assert sleeper.wait(5) != 0
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_got_the_pid_since_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run = RunFolder(tmp_path)
    run.record("api", sleeper.pid)
    (tmp_path / "api.birth").write_text("an earlier boot/12345\n")
    assert run.end_leftovers() == []
    assert sleeper.poll() is None


def test_a_leftover_without_a_pid_file_is_known_by_its_mark(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    environment = {**os.environ, MARK: run.mark}
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, env=environment) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        run.end_leftovers()
        assert orphan.wait(5) != 0


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999", "0"])
def test_a_broken_pid_file_ends_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.pid").write_text(text)
    (tmp_path / "api.birth").write_text("")
    assert RunFolder(tmp_path).end_leftovers() == []


def test_a_zombie_counts_as_ended() -> None:
    with subprocess.Popen(("/bin/true",), stdout=subprocess.DEVNULL) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert birth(process.pid) is None
