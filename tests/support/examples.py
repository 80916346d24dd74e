"""The receivers of docs/examples as a user runs them: files of their own, started by Python."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from config.embedded.ports import free_port
from tests.support.threads import until

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """A running receiver and the file that it writes what it got into."""

    url: str
    database: Path

    def table(self, name: str) -> str:
        """Return what its database calls a table."""
        return f"receiver_{name}" if "django" in self.database.name else name

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Ask its database."""
        with closing(sqlite3.connect(self.database)) as opened:
            return opened.execute(statement).fetchall()


@contextlib.contextmanager
def running_example(name: str, folder: Path, secret: str) -> Iterator[Example]:
    """Run one until the end of the block."""
    port = free_port()
    database = folder / f"{name}.db"
    own = {"WEBHOOK_SECRET": secret, "DATABASE": str(database)}
    inherited = {n: v for n, v in os.environ.items() if n != "DJANGO_SETTINGS_MODULE"}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), str(port)],
        env=inherited | own,
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or _listens(port), f"{name} listens")
        assert process.poll() is None, f"{name} ended"
        yield Example(f"http://127.0.0.1:{port}/hook", database)
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
