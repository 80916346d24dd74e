"""Where data lies: in DATA_DIR, or beside it where the servers' account may not go.

As root the servers run under another account. Nobody's folder is opened for it: where it
can't enter DATA_DIR (a checkout under /root, say), its data moves to /var/lib/aftercommit.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from config.embedded.account import Account, can_enter, unprivileged_account
from config.embedded.trouble import CannotStart

SYSTEM_HOME = Path("/var/lib/aftercommit")
POINTER = "servers-are-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one installation and the account that its servers run under."""

    data_dir: Path
    home: Path
    account: Account | None

    @property
    def run(self) -> Path:
        """Pid files, addresses, ports."""
        return self.data_dir / "run"

    @property
    def moved(self) -> bool:
        """Tell whether the servers' data lies outside DATA_DIR."""
        return self.home != self.data_dir


def settle_place(data_dir: Path) -> Place:
    """Make the folders and return them. Folders that exist keep their permissions.

    Raises CannotStart where a folder can't be made or belongs to somebody else.
    """
    data_dir = data_dir.absolute()
    account = unprivileged_account()
    try:
        return _settle(data_dir, account)
    except OSError as error:
        raise CannotStart(
            f"DATA_DIR {data_dir} cannot be used: {error.strerror or error} ({error.filename}). "
            "Make it writable for you, or set DATA_DIR to another folder."
        ) from error


def _settle(data_dir: Path, account: Account | None) -> Place:
    _make(data_dir, mode=0o700 if account is None else 0o711)
    _make(data_dir / "run", mode=0o700)
    home = data_dir
    if account is not None and not _stays(data_dir, account):
        home = _home_outside(data_dir)
    return Place(data_dir=data_dir, home=home, account=account)


def _stays(data_dir: Path, account: Account) -> bool:
    return not (data_dir / POINTER).exists() and can_enter(data_dir, account)


def _home_outside(data_dir: Path) -> Path:
    """Return the folder that DATA_DIR points to, made on the first start.

    Its name is new for each new DATA_DIR, so that a deleted and cloned checkout starts
    empty instead of finding data whose password went with the old folder.
    """
    pointer = data_dir / POINTER
    if pointer.exists():
        home = Path(pointer.read_text(encoding="utf-8").strip())
        _make(home, mode=0o711)
        return home
    _make(SYSTEM_HOME, mode=0o711)
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    home = SYSTEM_HOME / f"{digest}-{secrets.token_hex(3)}"
    _make(home, mode=0o711)
    pointer.write_text(f"{home}\n", encoding="utf-8")
    return home


def _make(folder: Path, *, mode: int) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(mode)
