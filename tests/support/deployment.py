"""docker-compose.yml as plain processes: each service's command, environment, health check, order.

What Docker would bring is put in here and nothing else: each container's network is a loopback
address of its own, Docker's DNS is a name server of ours, /run/secrets and /srv are folders, the
image is what the Dockerfile makes in a folder, and the official images of PostgreSQL and Valkey
are the programs of Debian's packages. All run as an account that is not root.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.embedded.account import Account, as_account, unprivileged_account
from tests.support.compose import read_compose, seconds, start_order
from tests.support.containers import Container, health, postgres, proxy, valkey
from tests.support.image import Image

SERVERS: Final = ("postgres", "broker", "cache")
STOP_SIGNALS: Final = {"postgres": signal.SIGINT}  # of the official image; else SIGTERM
STOP_ORDER: Final = ("proxy", "api", "stream", "beat", "worker", "cache", "broker", "postgres")


@dataclass(kw_only=True, eq=False)
class Deployment:
    """The whole compose project."""

    root: Path
    image: Image
    variables: Mapping[str, str]
    resolver: str
    scale: Mapping[str, int]
    account: Account | None = field(default_factory=unprivileged_account)
    containers: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project = read_compose(self.variables)
        net = f"127.{random.randrange(64, 250)}.{random.randrange(250)}"
        hosts = iter(range(2, 250))
        names = start_order(self.services)
        self.addresses: dict[str, list[str]] = {
            name: [f"{net}.{next(hosts)}" for _ in range(self.scale.get(name, 1))] for name in names
        }

    @property
    def services(self) -> dict[str, Any]:
        """Return the services by name."""
        found: dict[str, Any] = self.project["services"]
        return found

    def of(self, service: str) -> list[Container]:
        """Return the replicas of a service."""
        return [one for one in self.containers if one.service == service]

    def up(self) -> None:
        """Start every service once its conditions hold."""
        for name in start_order(self.services):
            self.start_service(name)

    def start_service(self, name: str) -> None:
        """Start all replicas of a service and wait until whoever needs it may start."""
        for address in self.addresses[name]:
            self._start(name, address)
        for one in self.of(name):
            self._wait(one)

    def run(self, service: str, *arguments: str, **more: str) -> str:
        """Run a command of the image with a service's environment; return what it wrote."""
        one = self._container(service, self.addresses[service][0])
        done = subprocess.run(
            [*self.image.entrypoint, *arguments],
            cwd=self.image.workdir,
            env=one.environment | more,
            capture_output=True,
            text=True,
            check=False,
            **as_account(self.account),
        )
        assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
        return str(done.stdout)

    def stop(self) -> dict[str, list[int | None]]:
        """End everything in order, as `docker compose stop` does; return the exit codes."""
        return {name: self.stop_service(name) for name in STOP_ORDER}

    def stop_service(self, name: str) -> list[int | None]:
        """End all replicas of a service within its grace; return exit codes, None for killed."""
        ends = time.monotonic() + seconds(self.services[name].get("stop_grace_period", "10s"))
        for one in self.of(name):
            one.running.send_signal(STOP_SIGNALS.get(name, signal.SIGTERM))
        codes = [self._ended(one, ends) for one in self.of(name)]
        self.containers = [one for one in self.containers if one.service != name]
        return codes

    def database_url(self) -> str:
        """Return the address of the database with its password."""
        (one,) = self.of("postgres")
        password = Path(one.environment["POSTGRES_PASSWORD_FILE"]).read_text(encoding="utf-8")
        return f"postgresql://aftercommit:{password}@{one.address}:5432/aftercommit"

    def _start(self, name: str, address: str) -> None:
        one = self._container(name, address)
        command = self._command(one)
        with one.log.open("ab") as sink:
            one.process = subprocess.Popen(
                command,
                cwd=self.image.workdir,
                env=one.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                **as_account(self.account),
            )
        self.containers.append(one)

    def _container(self, name: str, address: str) -> Container:
        folder = self.root / "containers" / f"{name}-{address.rpartition('.')[2]}"
        if not folder.exists():
            (folder / "tmp").mkdir(parents=True)
        given = {
            n: self.here(str(v)) for n, v in self.services[name].get("environment", {}).items()
        }
        base = self.image.environment if self.is_ours(name) else {"PATH": os.environ["PATH"]}
        around = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8"}
        one = Container(
            service=name,
            address=address,
            folder=folder,
            environment=base | around | given,
            account=self.account,
        )
        for path in (folder, folder / "tmp"):
            one.give(path)
        return one

    def _command(self, one: Container) -> list[str]:
        words = [self.here(word) for word in self.services[one.service]["command"]]
        if self.is_ours(one.service):
            listens = ["--host", one.address] if one.service in {"api", "stream"} else []
            return [*self.image.entrypoint, *words, *listens]
        if one.service == "proxy":
            redirect_port = self.variables["REDIRECT_PORT"]
            return proxy(words, one, resolver=self.resolver, redirect_port=redirect_port)
        return postgres(words, one) if one.service == "postgres" else valkey(words, one)

    def _health(self, one: Container) -> list[str]:
        told = self.services[one.service].get("healthcheck", {}).get("test")
        if told is None:
            return self.image.healthcheck if self.is_ours(one.service) else ["true"]
        return health([self.here(word) for word in told], one)

    def is_ours(self, name: str) -> bool:
        """Tell whether a service runs our image."""
        return "build" in self.services[name]

    def here(self, text: str) -> str:
        """Return a text of the compose file with the names and paths that hold here."""
        for name in SERVERS:
            text = re.sub(rf"(?<=[@/]){name}(?=:)", self.addresses[name][0], text)
        text = text.replace("/run/secrets/", f"{self.variables['SECRETS_DIR']}/")
        return re.sub(r"^/srv/", f"{self.image.root}/srv/", text)

    def _wait(self, one: Container, patience: float = 90) -> None:
        """Wait until whoever depends on it may start: it is healthy, or has ended with 0."""
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            code = one.running.poll()
            if code is not None:
                assert (one.service, code) == ("migrate", 0), one.said()
                return
            if one.service != "migrate" and self._is_healthy(one):
                return
            time.sleep(0.5)
        raise AssertionError(f"not healthy: {one.said()}")

    def _is_healthy(self, one: Container) -> bool:
        command = self._health(one)
        done = subprocess.run(
            command,
            cwd=self.image.workdir,
            env=one.environment,
            capture_output=True,
            check=False,
            **as_account(self.account),
        )
        return done.returncode == 0

    def _ended(self, one: Container, deadline: float) -> int | None:
        try:
            return one.running.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.running.pid, signal.SIGKILL)
            one.running.wait()
