"""The real stream process on a port of its own, as `make up` starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from django.db import connection

from config.embedded.ports import free_port
from tests.support.threads import until

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class StreamProcess:
    """One stream; ``restart()`` brings it back on the same port."""

    server: str
    port: int
    log: Path
    variables: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """The address over HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        """The address of the WebSocket."""
        return f"ws://127.0.0.1:{self.port}/ws/tasks"

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start and, unless told not to, wait until it is ready."""
        command = [sys.executable, "manage.py", "stream", "--port", str(self.port)]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [*command, "--server", self.server],
                cwd=CHECKOUT,
                env=_environment() | self.variables,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        if ready:
            until(self._is_ready, f"the stream is ready: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill it without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> int:
        """Ask it to stop; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def restart(self) -> None:
        """Kill it and start another on the same port."""
        self.kill()
        self.start()

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Return what /stream/readyz says."""
        answer = httpx.get(f"{self.url}/stream/readyz", timeout=5)
        return answer.status_code, answer.json()["checks"]

    def resident(self) -> int:
        """Return its memory in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024

    def connections(self) -> int:
        """Return how many connections this process has to PostgreSQL, by its own sockets."""
        port = f"{int(connection.settings_dict['PORT']):04X}"
        inodes = {
            link.readlink().name
            for link in Path(f"/proc/{self.pid}/fd").iterdir()
            if link.is_symlink()
        }
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(
            line.split()[2].endswith(f":{port}") and f"socket:[{line.split()[9]}]" in inodes
            for line in lines
        )

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text()[-3000:])
        with contextlib.suppress(httpx.HTTPError):
            status, checks = self.ready()
            return status == 200 and checks["subscription"] == "alive"
        return False


@contextlib.contextmanager
def running_stream(server: str, *, ready: bool = True, **variables: str) -> Iterator[StreamProcess]:
    """Run a stream over the test's database; wait until it hears hints, unless told not to."""
    with tempfile.TemporaryDirectory(prefix="aftercommit-stream-") as folder:
        log = Path(folder) / "log"
        stream = StreamProcess(server=server, port=free_port(), log=log, variables=variables)
        try:
            stream.start(ready=ready)
            yield stream
        finally:
            if stream.process is not None and stream.process.poll() is None:
                stream.kill()


def _environment() -> dict[str, str]:
    database = connection.settings_dict
    address = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "ROLE": "stream",
        "DATABASE_URL": f"postgresql://{address}/{database['NAME']}",
        "STREAM_DRAIN_SECONDS": "1",
        "PYTHONWARNINGS": "default",
    }
