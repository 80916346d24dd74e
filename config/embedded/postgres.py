"""PostgreSQL 18 from its wheel: created once, durable, on loopback, behind a password."""

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from config.embedded.account import Account, as_account, hand_over
from config.embedded.binaries import postgres_program
from config.embedded.identity import birth, end_processes, works_in
from config.embedded.process import ProcessSpec, plain_environment
from config.embedded.secret_file import kept_secret
from config.embedded.trouble import CannotStart

NAME = "aftercommit"  # of the role and of the database
SETTINGS = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        # No socket file: no limit of 107 bytes on its path, none left over after a crash.
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "wal_compression": "on",
        "max_wal_size": "1GB",
        "jit": "off",  # short statements: compiling costs more than it saves
        "autovacuum_naptime": "10s",
        "autovacuum_vacuum_cost_delay": "0",
        "log_min_messages": "warning",
        # Neither the rows nor the statements that fail: both hold what the log may not show.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_checkpoints": "off",
        "log_line_prefix": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)
# Tests throw their data away: whether it would survive a power cut is not what they ask.
THROW_AWAY = MappingProxyType(
    {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
)


class Postgres:
    """One cluster in ``home/postgres``. Made by the first ``prepare``, kept ever after."""

    def __init__(
        self,
        *,
        home: Path,
        port: int,
        account: Account | None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._home = home
        self._data = home / "postgres"
        self._port = port
        self._account = account
        self._settings = {**SETTINGS, **settings, "port": str(port)}
        self._password = ""

    @property
    def url(self) -> str:
        """DATABASE_URL of the cluster; ``prepare`` first."""
        return f"postgresql://{NAME}:{self._password}@127.0.0.1:{self._port}/{NAME}"

    def prepare(self) -> None:
        """Create role, database and password where they are missing.

        Raises CannotStart where the data is of another version or of another account.
        """
        self._password = kept_secret(self._home / "postgres.password", _new_password)
        if not self._data.exists():
            self._create()
        self._check()

    def spec(self) -> ProcessSpec:
        """Return how to run the server."""
        program = postgres_program("postgres", self._account)
        options = [f"{name}={value}" for name, value in self._settings.items()]
        flags = [part for option in options for part in ("-c", option)]
        return ProcessSpec(
            name="postgres",
            command=(str(program), "-D", str(self._data), *flags),
            environment=plain_environment(self._home),
            account=self._account,
            umask=0o077,
            stop_signal=signal.SIGINT,  # "fast": sessions end, nothing needs recovery
            grace=20.0,
            before_start=self.clear_leftovers,
            is_ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        """Tell whether the server accepts connections (it writes so into its pid file)."""
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[7].strip() == "ready" and _alive(lines)

    def clear_leftovers(self) -> None:
        """End a server that outlived its supervisor; remove a pid file whose pid is another's.

        PostgreSQL itself would refuse to start where a stale pid belongs to some other
        process of the same account by now.
        """
        lines = self._pid_file_lines()
        if not lines:
            return
        pid = int(lines[0])
        ours = works_in(pid, self._data)
        if ours:
            end_processes([pid], first=signal.SIGINT, grace=20.0)
        if ours is False:
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file_lines(self) -> list[str]:
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        return lines if lines and lines[0].strip().isdigit() else []

    def _create(self) -> None:
        """Create under another name, then rename: a start cut short leaves nothing half-made."""
        fresh = Path(tempfile.mkdtemp(dir=self._home, prefix=".postgres-"))
        try:
            hand_over(fresh, self._account, mode=0o700)
            self._initdb(fresh)
            self._createdb(fresh / "data")
            (fresh / "data").rename(self._data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _initdb(self, folder: Path) -> None:
        password = folder / "password"
        password.write_text(self._password, encoding="utf-8")
        hand_over(password, self._account, mode=0o600)
        # The built-in provider sorts by code point on every machine, whatever its locales.
        self._run(
            "initdb",
            *("-D", str(folder / "data"), "-U", NAME, "--pwfile", str(password)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--data-checksums"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        )

    def _createdb(self, data: Path) -> None:
        statement = f"CREATE DATABASE {NAME};\n"
        self._run("postgres", "--single", "-D", str(data), "postgres", text=statement)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        done = subprocess.run(
            (str(postgres_program(program, self._account)), *arguments),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=plain_environment(self._home),
            check=False,
            **as_account(self._account),
        )
        if done.returncode:
            raise CannotStart(f"PostgreSQL's {program} failed:\n{done.stdout.strip()}")

    def _check(self) -> None:
        owner = self._data.stat().st_uid
        if self._account is not None and owner != self._account.uid:
            raise CannotStart(
                f"{self._data} belongs to user id {owner}, and as root the server runs as "
                f"{self._account.name}: start as that user, or set DATA_DIR to another folder."
            )
        found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        offered = _major(postgres_program("postgres", self._account))
        if found != offered:
            raise CannotStart(
                f"{self._data} was made by PostgreSQL {found} and the wheel brings {offered}: "
                "upgrade it with pg_upgrade, or set DATA_DIR to another folder."
            )


def _major(program: Path) -> str:
    done = subprocess.run((str(program), "--version"), capture_output=True, text=True, check=True)
    return done.stdout.split()[2].partition(".")[0]


def _alive(lines: list[str]) -> bool:
    return birth(int(lines[0])) is not None


def _new_password() -> str:
    return secrets.token_urlsafe(24)
