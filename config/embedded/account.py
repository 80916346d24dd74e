"""Who the servers run as: ourselves, or an unprivileged account where we are root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.embedded.trouble import CannotStart

# `nobody` first: a system PostgreSQL of the distribution runs as `postgres`, and its data
# should not be within reach of ours.
CANDIDATES = ("nobody", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of the system that owns the servers' data."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return who runs the servers; None means ourselves, which is right unless we are root.

    Raises CannotStart where root finds none of the accounts it could use.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise CannotStart(
        "PostgreSQL refuses to run as root and this system has no account "
        f"{' or '.join(CANDIDATES)}: start as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def as_account(account: Account | None) -> dict[str, Any]:
    """Return the options with which ``subprocess`` starts a child under the account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def can_enter(folder: Path, account: Account | None) -> bool:
    """Tell whether the account may go into the folder, by going there.

    Permission bits alone would miss access lists and security modules.
    """
    return _succeeds(("/bin/sh", "-c", 'cd -- "$0"', str(folder)), account)


def can_run(program: Path, account: Account | None) -> bool:
    """Tell whether the account may run the program, by asking it for its version."""
    flag = "version" if program.name == "caddy" else "--version"
    return _succeeds((str(program), flag), account)


def hand_over(path: Path, account: Account | None, *, mode: int) -> None:
    """Give a path that we made to the account, with exactly this mode whatever the umask."""
    path.chmod(mode)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _succeeds(command: tuple[str, ...], account: Account | None) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
            **as_account(account),
        )
    except OSError:
        return False
    return done.returncode == 0
