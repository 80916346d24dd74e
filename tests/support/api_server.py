"""The real api: granian over WSGI as `make up` starts it, on a port of its own."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from config.embedded.ports import free_port

CHECKOUT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """Return the address of the database that this test's connection is in."""
    at = connection.settings_dict
    who = f"{at['USER']}:{at['PASSWORD']}" if at["PASSWORD"] else at["USER"]
    if str(at["HOST"]).startswith("/"):
        return f"postgresql://{who}@/{at['NAME']}?host={at['HOST']}&port={at['PORT']}"
    return f"postgresql://{who}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running api, to be killed."""

    port: int
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """End it as a power cut would, main and child."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@contextlib.contextmanager
def api_server(
    *, application: str = "config.wsgi:application", threads: int = 4, **environment: str
) -> Iterator[int]:
    """Run granian; give its port once it answers. Its whole group is ended, as it must be."""
    with running_api(application=application, threads=threads, **environment) as server:
        yield server.port


@contextlib.contextmanager
def running_api(
    *, application: str = "config.wsgi:application", threads: int = 4, **environment: str
) -> Iterator[ApiServer]:
    """Do the same, and give what kills it."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(port), "--no-ws", "--workers", "1", "--blocking-threads", str(threads)),
        *("--log-level", "warning", application),
    ]
    settings = {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": environment.get("DATABASE_URL") or database_url(),
        "ROLE": "api",
        "LOG_LEVEL": "WARNING",
        **environment,
    }
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env={**os.environ, **settings}, start_new_session=True
    )
    try:
        _wait(process, port)
        yield ApiServer(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RuntimeError(f"granian ended with {process.returncode}")
        try:
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asked.request("GET", "/healthz")
            asked.getresponse().read()
            asked.close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("granian does not answer")
