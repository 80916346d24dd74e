"""What it takes to run one process: its command, its account, how it ends.

Every process leads a session of its own, so that Ctrl-C reaches only who supervises it and
a whole group can be ended at once. It dies with its parent where the system offers that.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.embedded.account import Account, as_account

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _nothing() -> None:
    """Most processes need no preparation."""


def _always() -> bool:
    """Most processes are judged by what they answer through the proxy."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process that somebody keeps running."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # holds passwords
    directory: Path = Path("/")
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    umask: int = -1  # -1: as ours
    grace: float = 10.0  # seconds between the stop signal and SIGKILL
    before_start: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _always


def spawn_options(spec: ProcessSpec) -> dict[str, Any]:
    """Return the options for ``subprocess`` or ``asyncio``: session, account, death signal."""
    return {
        "cwd": spec.directory,
        "env": dict(spec.environment),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "start_new_session": True,
        "umask": spec.umask,
        "preexec_fn": _die_with(os.getpid(), spec.stop_signal),
        **as_account(spec.account),
    }


def plain_environment(home: Path) -> dict[str, str]:
    """Return the environment of a server that needs none of ours, and gets no secret of ours."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C", "LC_ALL": "C", "TZ": "UTC"}


def _die_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """Return what the child does before its program starts.

    Runs after the change of account, which would clear the death signal.
    """

    def between_fork_and_exec() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the signal was set
            os._exit(1)

    return between_fork_and_exec
