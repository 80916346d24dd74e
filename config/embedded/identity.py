"""Which process is which: a pid alone proves nothing, its time of birth beside it does."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
MARK = "AFTERCOMMIT_RUN"


def birth(pid: int) -> str | None:
    """Return what tells this process from a later one with the same pid; None once it ended.

    A zombie counts as ended.
    """
    if not BOOT_ID.exists():
        return _birth_by_ps(pid)
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The name in brackets may hold anything, blanks and brackets too: count from its end.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def parent(pid: int) -> int:
    """Return the pid of the process's parent; 0 where that can't be known."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def works_in(pid: int, folder: Path) -> bool | None:
    """Tell whether the process's working folder is this one; None where that can't be known."""
    try:
        return (PROC / str(pid) / "cwd").readlink() == folder.resolve()
    except FileNotFoundError:
        return False if PROC.joinpath("self").exists() else None
    except OSError:
        return None


def marked_processes(mark: str) -> Iterator[int]:
    """Yield the processes that carry our mark in their environment, whoever their parent is."""
    wanted = f"{MARK}={mark}".encode()
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def end_processes(
    pids: Collection[int], *, first: signal.Signals = signal.SIGTERM, grace: float = 5.0
) -> None:
    """Ask the processes to end, wait up to ``grace`` seconds, then kill what is left."""
    births = {pid: birth(pid) for pid in pids}
    for number, patience in ((first, grace), (signal.SIGKILL, 5.0)):
        for pid in (alive := _still(births)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if not alive or _wait_gone(births, patience):
            return


def _still(births: dict[int, str | None]) -> list[int]:
    return [pid for pid, born in births.items() if born is not None and birth(pid) == born]


def _wait_gone(births: dict[int, str | None], patience: float) -> bool:
    end = time.monotonic() + patience
    while _still(births):
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True


def _birth_by_ps(pid: int) -> str | None:
    done = subprocess.run(
        ("/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)),
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = done.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
