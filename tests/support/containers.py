"""One container as a process: what the official images do at their start, done by what is here."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from config.embedded.account import Account, as_account
from config.embedded.binaries import caddy_program

CHECKOUT = Path(__file__).resolve().parents[2]


def debian_postgres() -> Path | None:
    """Return the folder of Debian's newest PostgreSQL, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def missing_programs() -> list[str]:
    """Return the Debian packages without which nothing of this works."""
    no_valkey = _either("server") is None
    return ["postgresql"] * (debian_postgres() is None) + ["redis-server"] * no_valkey


def _either(part: str) -> str | None:
    return shutil.which(f"valkey-{part}") or shutil.which(f"redis-{part}")


@dataclass(kw_only=True, eq=False)
class Container:
    """One replica of a service, as a process in a group of its own."""

    service: str
    address: str
    folder: Path
    environment: dict[str, str]
    account: Account | None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        """Return its process."""
        assert self.process is not None
        return self.process

    @property
    def log(self) -> Path:
        """Return the file that its output goes to."""
        return self.folder / "log"

    def said(self) -> str:
        """Return its last words."""
        return f"{self.service}:\n{self.log.read_text(errors='replace')[-4000:]}"

    def give(self, path: Path) -> None:
        """Give a path to the account that it runs as."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def proxy(words: list[str], one: Container, *, resolver: str, redirect_port: str) -> list[str]:
    """Return how to run the wheel's Caddy with the repository's Caddyfile."""
    one.environment |= {"XDG_DATA_HOME": str(one.folder), "XDG_CONFIG_HOME": str(one.folder)}
    one.environment |= {"RESOLVERS": resolver, "BIND": "127.0.0.1", "REDIRECT_PORT": redirect_port}
    copy = one.folder / "Caddyfile"
    shutil.copy(CHECKOUT / "Caddyfile", copy)
    one.give(copy)
    here = {"caddy": str(caddy_program(one.account)), "/etc/caddy/Caddyfile": str(copy)}
    return [here.get(word, word) for word in words]


def postgres(words: list[str], one: Container) -> list[str]:
    """Do what the image's entry point does at the first start; return how to run the server."""
    folder, given, data = debian_postgres(), one.environment, one.folder / "data"
    assert folder is not None
    initdb = [
        *(str(folder / "initdb"), "-D", str(data), "-U", given["POSTGRES_USER"]),
        *("--pwfile", given["POSTGRES_PASSWORD_FILE"], "--auth=scram-sha-256"),
        *("--data-checksums", "--no-locale", "--encoding=UTF8", "--no-sync"),
    ]
    single = [str(folder / "postgres"), "--single", "-D", str(data), "postgres"]
    create = f"CREATE DATABASE {given['POSTGRES_DB']};\n".encode()
    if not data.exists():
        _do(initdb, one)
        _do(single, one, text=create)
    here = ["-D", str(data), f"-clisten_addresses={one.address}", "-cunix_socket_directories="]
    return [str(folder / "postgres"), *words[1:], *here, "-cfsync=off"]


def valkey(words: list[str], one: Container) -> list[str]:
    """Return how to run Debian's Valkey or Redis."""
    server, file = _either("server"), f"{one.folder}/tmp/valkey.conf"
    text = words[-1].replace("/tmp/valkey.conf", file)
    text = text.replace(f"valkey-server {file}", f"{server} {file} --bind {one.address}")
    return [*words[:-1], text.replace("--dir /data", f"--dir {one.folder}")]


def health(words: list[str], one: Container) -> list[str]:
    """Return a health check of the compose file as it is asked here."""
    if words[0] == "CMD-SHELL":
        client = f"{_either('cli')} -h {one.address}"
        return ["sh", "-c", words[1].replace("valkey-cli", client)]
    folder = debian_postgres()
    assert folder is not None
    return [str(folder / words[1]), *(word.replace("127.0.0.1", one.address) for word in words[2:])]


def _do(command: list[str], one: Container, text: bytes = b"") -> None:
    done = subprocess.run(
        command, cwd="/", input=text, capture_output=True, check=False, **as_account(one.account)
    )
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
