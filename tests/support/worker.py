"""Celery's real worker and beat as processes of their own, on the test's database."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

CHECKOUT = Path(__file__).resolve().parents[2]
CELERY = ("-m", "celery", "--quiet", "-A", "config")
WORKER = (
    *("worker", "-c", "2", "-O", "fair", "-Q", "drain,sweep"),
    *("--without-gossip", "--without-mingle", "-l", "WARNING"),
)


@dataclass(frozen=True, slots=True)
class Running:
    """One process in a group of its own."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def children(self) -> list[int]:
        """The pids of its children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill(self) -> None:
        """End the whole group as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self, seconds: float) -> int:
        """Send SIGTERM to the parent alone; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def environment(redis_url: str = "") -> dict[str, str]:
    """Return what a process needs to work on this test's database."""
    at = connection.settings_dict
    password = f":{at['PASSWORD']}" if at["PASSWORD"] else ""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": f"postgresql://{at['USER']}{password}@/{at['NAME']}"
        f"?host={at['HOST']}&port={at['PORT']}",
        "REDIS_URL": redis_url or settings.REDIS_URL,
    }


@contextlib.contextmanager
def worker(
    folder: Path, *, name: str = "one", redis_url: str = "", freezes: str = "", **more: str
) -> Iterator[Running]:
    """Run a worker of two children, as `make up` does.

    ``freezes`` names a point of tests.support.freezing at which it stops for good.
    """
    program: tuple[str, ...] = CELERY
    if freezes:
        program = ("-m", "tests.support.freezing", freezes, str(folder / freezes), *CELERY[2:])
    command = (*program, *WORKER, "-n", f"{name}@%h")
    with _running(command, folder / f"{name}.log", {"ROLE": "worker", **more}, redis_url) as one:
        yield one


@contextlib.contextmanager
def beat(folder: Path, *, name: str = "beat", redis_url: str = "") -> Iterator[Running]:
    """Run beat."""
    command = (*CELERY, "beat", "-s", str(folder / f"{name}.schedule"), "--pidfile=")
    with _running(command, folder / f"{name}.log", {"ROLE": "beat"}, redis_url) as one:
        yield one


@contextlib.contextmanager
def _running(
    command: tuple[str, ...], log: Path, more: Mapping[str, str], redis_url: str
) -> Iterator[Running]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=CHECKOUT,
            env={**environment(redis_url), **more},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    running = Running(process, log)
    try:
        yield running
    finally:
        running.kill()
