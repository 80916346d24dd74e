"""The whole house as a user starts it: `manage.py up` on ports and a data folder of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from config.embedded.ports import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
DEMO_KEY = "dev-secret-token"
OURS = ("DATABASE_URL", "REDIS_URL", "PYTEST_CURRENT_TEST", "ROLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running Aftercommit."""

    port: int
    sandbox_port: int
    data_dir: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        """The one address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        """The receiver's address."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def client(self, key: str = DEMO_KEY) -> httpx.Client:
        """Return a client of the API with a key."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=30)

    def pid(self, name: str) -> int:
        """Return the pid of one process by the name of its pid file."""
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one process; return its pid."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def environment(self) -> dict[str, str]:
        """Return what `up` wrote for commands beside it."""
        lines = (self.data_dir / "run" / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return rows straight from the database."""
        with psycopg.connect(self.environment()["DATABASE_URL"]) as connection:
            return connection.execute(statement, parameters).fetchall()

    def received(self) -> list[dict[str, Any]]:
        """Return all that the sandbox got, in order."""
        entries: list[dict[str, Any]] = []
        with httpx.Client(base_url=self.sandbox, timeout=30) as client:
            while True:
                after = entries[-1]["n"] if entries else 0
                page = client.get("/received", params={"after": after, "limit": 5000}).json()
                if not (page := page["received"]):
                    return entries
                entries += page

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Wait until api, its worker and beat, and stream say that they are ready."""
        ends = time.monotonic() + seconds
        while not (self._ready("/readyz") and self._ready("/stream/readyz")):
            if self.process.poll() is not None or time.monotonic() > ends:
                raise AssertionError(f"not ready; its log:\n{self.log.read_text()[-6000:]}")
            time.sleep(0.1)

    def _ready(self, path: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + path, timeout=2).status_code == 200
        return False


@contextlib.contextmanager
def running_house(**variables: str) -> Iterator[House]:
    """Run a house of the test's own; ends with SIGTERM, and fails if that takes too long."""
    with tempfile.TemporaryDirectory(prefix="aftercommit-house-") as folder:
        Path(folder).chmod(0o755)
        data_dir, log = Path(variables.get("DATA_DIR", f"{folder}/data")), Path(folder) / "log"
        ports = {n: variables.get(n, str(free_port())) for n in ("PORT", "SANDBOX_PORT")}
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.local", "DATA_DIR": str(data_dir)}
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=CHECKOUT,
                env=inherited | settings | ports | variables,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        house = House(
            port=int(ports["PORT"]),
            sandbox_port=int(ports["SANDBOX_PORT"]),
            data_dir=data_dir,
            process=process,
            log=log,
        )
        try:
            house.wait_until_ready()
            yield house
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)
