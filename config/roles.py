"""Which program each role runs: the same under `make up`, in the image and in the compose file.

``python -m config.roles worker`` becomes the worker; what is no role is a ``manage.py`` command.
The process that was started is the program itself afterwards, so that a signal reaches it.
"""

import json
import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

MANAGE: Final = str(Path(__file__).resolve().parent.parent / "manage.py")
API_THREADS: Final = 4  # one core's worth of Django; more only queue for the interpreter
PORT: Final = 8000
COMMAND: Final = "command"  # what is no role
NOTE: Final = Path(tempfile.gettempdir()) / "aftercommit-role.json"
# Without its banner, and without its warning about root: `make up` does run as who started it.
CELERY: Final = (
    *("-W", "ignore:You're running the worker with superuser privileges"),
    *("-m", "celery", "--quiet", "-A", "config"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What runs in this container, for whoever asks after its health."""

    name: str
    pid: int
    host: str
    port: int

    @classmethod
    def read(cls) -> "Role":
        """Return what was noted; raises OSError or ValueError where nothing was."""
        return cls(**json.loads(NOTE.read_text(encoding="utf-8")))

    def note(self) -> None:
        """Leave it for the health check."""
        NOTE.write_text(json.dumps(asdict(self)), encoding="utf-8")


def api(*, host: str, port: int) -> tuple[str, ...]:
    """Return Python's arguments for an api. One process: more are more of these."""
    return (
        *("-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)),
        *("--no-ws", "--workers", "1", "--blocking-threads", str(API_THREADS)),
        *("--workers-kill-timeout", "8", "config.wsgi:application"),
    )


def stream(*, host: str, port: int) -> tuple[str, ...]:
    """Return Python's arguments for a stream."""
    return (MANAGE, "stream", "--host", host, "--port", str(port))


def worker(*, name: str) -> tuple[str, ...]:
    """Return Python's arguments for a worker; ``name`` is its own on this host."""
    return (
        *(*CELERY, "worker", "-n", f"{name}@%h", "-c", "2", "-O", "fair"),
        *("-Q", "drain,sweep", "--without-gossip", "--without-mingle"),
    )


def beat(*, schedule: Path) -> tuple[str, ...]:
    """Return Python's arguments for beat; ``schedule`` is a file of its own, not worth keeping."""
    return (*CELERY, "beat", "-s", str(schedule), "--pidfile=")


def _here(prefix: str) -> str:
    return f"{prefix}-{os.getpid()}"


def _schedule() -> Path:
    return Path(tempfile.gettempdir()) / _here("aftercommit-beat")


BY_ROLE: Final[dict[str, Callable[[str, int], tuple[str, ...]]]] = {
    "api": lambda host, port: api(host=host, port=port),
    "stream": lambda host, port: stream(host=host, port=port),
    "worker": lambda _host, _port: worker(name=_here("worker")),
    "beat": lambda _host, _port: beat(schedule=_schedule()),
}


def become(arguments: Sequence[str]) -> None:
    """Replace this process by the role or the ``manage.py`` command that the arguments name."""
    role = arguments[0] if arguments else "help"
    noted = Role(name=COMMAND, pid=os.getpid(), host="", port=0)
    command: tuple[str, ...] = (MANAGE, *arguments)
    if role in BY_ROLE:
        parser = ArgumentParser(prog=role)
        parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - a container's own network
        parser.add_argument("--port", type=int, default=PORT)
        options = parser.parse_args(arguments[1:])
        command = BY_ROLE[role](options.host, options.port)
        noted = Role(name=role, pid=os.getpid(), host=options.host, port=options.port)
        os.environ["ROLE"] = role
    noted.note()
    os.execv(sys.executable, (sys.executable, *command))  # noqa: S606 - there is no shell in it


if __name__ == "__main__":
    become(sys.argv[1:])
