"""The supervisor: whatever dies is started again, and nothing outlives it for long."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from config.embedded.identity import birth, marked_processes
from config.supervisor.child import PAUSES

T = TypeVar("T")
FOREVER = "exec sleep 600"
PROMISED = 2.0  # seconds within which a dead child is started again (contract §2)


class Tree:
    """A supervisor over stand-ins, its log and its pid files."""

    def __init__(self, folder: Path, commands: dict[str, str]) -> None:
        self.folder = folder
        self.said: list[str] = []
        pairs = [f"{name}={line}" for name, line in commands.items()]
        self.process = subprocess.Popen(
            (sys.executable, "-m", "tests.support.stand_ins", str(folder), *pairs),
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.said.extend(line.rstrip() for line in lines)

    def pid(self, name: str, *, other_than: int = 0) -> int:
        """Wait for the pid of a running child, a new one where the old is named."""

        def found() -> int:
            try:
                pid = int((self.folder / f"{name}.pid").read_text())
            except (OSError, ValueError):
                return 0
            return pid if pid != other_than and birth(pid) else 0

        return until(found)

    def wait_for(self, text: str) -> None:
        until(lambda: any(text in line for line in self.said))

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        self._reader.join(5)
        return code


def until(found: Callable[[], T]) -> T:
    """Return the first true answer; fails after 30 s, the bound of a hang and not of a promise."""
    end = time.monotonic() + 30
    while not (answer := found()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return answer


@contextmanager
def tree(folder: Path, **commands: str) -> Iterator[Tree]:
    one = Tree(folder, commands)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_child_is_started_again(tmp_path: Path, number: signal.Signals) -> None:
    with tree(tmp_path, api=FOREVER, beat=FOREVER) as one:
        first, other = one.pid("api"), one.pid("beat")
        os.kill(first, number)
        assert one.pid("api", other_than=first) != first
        assert one.pid("beat") == other
        one.wait_for(f"api was ended by {number.name}: starting it again.")


def test_a_child_that_keeps_dying_is_tried_for_ever_and_said_so_once(tmp_path: Path) -> None:
    with tree(tmp_path, api="echo born; exit 3", beat=FOREVER) as one:
        until(lambda: sum("born" in line for line in one.said) >= 6)
        assert sum("keeps ending" in line for line in one.said) == 1
        one.wait_for("api ended with code 3")
        assert birth(one.pid("beat"))


def test_every_pause_is_shorter_than_what_is_promised() -> None:

    assert max(PAUSES) < PROMISED


def test_a_program_that_is_not_there_is_a_line_and_no_end_of_the_others(tmp_path: Path) -> None:
    with tree(tmp_path, api="exec /no/such/program", beat=FOREVER) as one:
        one.wait_for("/no/such/program")
        assert birth(one.pid("beat"))


def test_what_a_killed_main_leaves_in_its_group_is_ended(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with tree(
        tmp_path, api=f"sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait"
    ) as one:
        until(child.exists)
        main, left = one.pid("api"), int(child.read_text())
        os.kill(main, signal.SIGKILL)
        until(lambda: birth(left) is None)


def test_sigterm_stops_all_in_the_order_given(tmp_path: Path) -> None:
    trap = "trap 'echo ended; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    with tree(tmp_path, proxy=trap, api=trap, postgres=trap) as one:
        until(lambda: sum("| up" in line for line in one.said) == 3)
        assert one.stop() == 0
        ends = [line.split()[0] for line in one.said if line.endswith("| ended")]
        assert ends == ["proxy", "api", "postgres"]
        assert list(tmp_path.glob("*.pid")) == []
        assert list(marked_processes(str(tmp_path))) == []


def test_a_child_that_ignores_its_signal_is_killed_with_its_group(tmp_path: Path) -> None:
    with tree(tmp_path, api="trap '' TERM; echo deaf; while :; do sleep 0.1; done") as one:
        one.wait_for("deaf")
        pid = one.pid("api")
        assert one.stop() == 0
        assert birth(pid) is None
        assert any("did not end within 5 s: killed" in line for line in one.said)


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    with tree(tmp_path, api=FOREVER, beat=FOREVER) as one:
        pids = [one.pid("api"), one.pid("beat")]
        one.process.kill()
        one.process.wait()
        until(lambda: not any(birth(pid) for pid in pids))


def test_what_outlived_a_killed_supervisor_is_ended_by_the_next_start(tmp_path: Path) -> None:
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    with tree(tmp_path, api=deaf) as one:
        one.wait_for("deaf")
        orphan = one.pid("api")
        one.process.kill()
        one.process.wait()
        assert birth(orphan)
        with tree(tmp_path, api=FOREVER) as two:
            two.wait_for("left: api")
            assert birth(orphan) is None
            assert two.pid("api") != orphan
            two.stop()
    assert list(marked_processes(str(tmp_path))) == []


def test_every_line_of_every_child_is_in_the_log_whole(tmp_path: Path) -> None:
    count = "i=0; while [ $i -lt 2000 ]; do echo line-$i-end; i=$((i+1)); done; exec sleep 600"
    with tree(tmp_path, api=count, beat=count) as one:
        one.wait_for("beat       | line-1999-end")
        one.wait_for("api        | line-1999-end")
    for name in ("api", "beat"):
        numbers = [
            int(m[1]) for line in one.said if (m := re.match(rf"{name} +\| line-(\d+)-end", line))
        ]
        assert numbers == list(range(2000))
