"""``<DATA_DIR>/run``: who runs here, and what an earlier run left behind.

``<name>.pid`` holds a pid and nothing else. Beside it ``<name>.birth`` says which process
of that pid was meant, so that a pid given out again is never taken for ours.
"""

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from typing import TextIO

from config.embedded.identity import birth, end_processes, marked_processes, parent
from config.embedded.trouble import CannotStart


class RunFolder:
    """The run folder of one DATA_DIR; at most one ``up`` holds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: TextIO | None = None

    @property
    def mark(self) -> str:
        """What every process of this folder carries in its environment."""
        return str(self._folder.resolve())

    def hold(self) -> None:
        """Take the folder; the kernel gives it back when we end, however we end.

        Raises CannotStart where another ``up`` holds it.
        """
        lock = (self._folder / "up.lock").open("a", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise CannotStart(
                f"Aftercommit is already running on {self._folder.parent} "
                f"(process {self._pid('up') or 'unknown'}): stop that one first, "
                "or set DATA_DIR, PORT and SANDBOX_PORT for a second one."
            ) from error
        self._lock = lock

    def release(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def record(self, name: str, pid: int) -> None:
        """Write down who runs under this name; the birth first, so that a pid never lacks it."""
        self._replace(f"{name}.birth", f"{birth(pid) or ''}\n")
        self._replace(f"{name}.pid", f"{pid}\n")

    def forget(self, name: str) -> None:
        """Remove what was written down under this name."""
        (self._folder / f"{name}.pid").unlink(missing_ok=True)
        (self._folder / f"{name}.birth").unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End every process that an earlier run left behind; return what they were.

        PostgreSQL last and apart: it gets the signal that closes sessions and writes a
        checkpoint, and time for it; its own children are its own to end.
        """
        names = self._names()
        alive = {name: pid for name in names if (pid := self._recorded_alive(name)) is not None}
        postgres = alive.get("postgres")
        others = {*alive.values(), *self._marked()} - {postgres}
        orphans = [pid for pid in others if parent(pid) != postgres]
        end_processes(orphans, grace=1.0)
        if postgres is not None:
            end_processes([postgres], first=signal.SIGINT, grace=20.0)
        # Once more, for what was born while its parent was being ended.
        end_processes(self._marked(), first=signal.SIGKILL)
        for name in names:
            self.forget(name)
        unnamed = len(set(orphans) - set(alive.values()))
        return [*sorted(alive), *([f"{unnamed} of their children"] if unnamed else [])]

    def _marked(self) -> set[int]:
        return set(marked_processes(self.mark)) - {os.getpid()}

    def _names(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*.pid") if path.stem != "up"]

    def _pid(self, name: str) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return int((self._folder / f"{name}.pid").read_text(encoding="ascii"))
        return None

    def _recorded_alive(self, name: str) -> int | None:
        pid = self._pid(name)
        with contextlib.suppress(OSError):
            born = (self._folder / f"{name}.birth").read_text(encoding="ascii").strip()
            if pid is not None and born and birth(pid) == born:
                return pid
        return None

    def _replace(self, name: str, text: str) -> None:
        fresh = self._folder / f".{name}.new"
        fresh.write_text(text, encoding="ascii")
        fresh.replace(self._folder / name)
