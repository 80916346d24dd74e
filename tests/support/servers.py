"""Real PostgreSQL and Valkey for the tests: one of each a session, and one's own to kill.

A pytest plugin, loaded by ``-p`` before Django reads its settings. Where DATABASE_URL or
REDIS_URL is set, that server is used and none is started. The session's PostgreSQL does not
wait for the disk (fsync off): the data is thrown away, and what a crash leaves is tested on
servers of the tests' own, which keep the settings of ``make up``.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import NoReturn

import pytest

from config.embedded.place import POINTER, Place, settle_place
from config.embedded.ports import free_port
from config.embedded.postgres import THROW_AWAY, Postgres
from config.embedded.server import Server
from config.embedded.valkey import Valkey

# Tells pytest-xdist's workers what to start: by then the settings have filled in the URLs.
TO_START = "TEST_SERVERS_TO_START"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnServer:
    """A server of one test's own: ``server`` starts, stops, kills and freezes it."""

    url: str
    port: int
    server: Server


@contextlib.contextmanager
def own_postgres(*, settings: Mapping[str, str] = NOTHING) -> Iterator[OwnServer]:
    """Run a PostgreSQL of the test's own, as durable as that of ``make up``."""
    with _folder() as place:
        port = free_port()
        cluster = Postgres(home=place.home, port=port, account=place.account, settings=settings)
        cluster.prepare()
        with _running(Server(cluster.spec())) as server:
            yield OwnServer(url=cluster.url, port=port, server=server)


@contextlib.contextmanager
def own_valkey() -> Iterator[OwnServer]:
    """Run a Valkey of the test's own."""
    with _folder() as place:
        port = free_port()
        store = Valkey(home=place.home, port=port, account=place.account)
        store.prepare()
        with _running(Server(store.spec())) as server:
            yield OwnServer(url=store.url, port=port, server=server)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Start the session's servers before pytest-django, a plain hook, reads the settings.

    With ``-n`` each of pytest-xdist's workers has its own: what one test stops, cuts or empties is
    then nobody else's, and a bell rung in one is not answered in another.
    """
    if not _only_asks(early_config):
        stack = contextlib.ExitStack()
        early_config.add_cleanup(stack.close)
        _end_on_sigterm()
        missing = _missing()
        if _lets_others_run(early_config):
            _export(stack, TO_START, " ".join(missing))
            missing = ()
        if "DATABASE_URL" in missing:
            postgres = stack.enter_context(own_postgres(settings=THROW_AWAY))
            _export(stack, "DATABASE_URL", postgres.url)
        if "REDIS_URL" in missing:
            _export(stack, "REDIS_URL", stack.enter_context(own_valkey()).url)
    return (yield)


def _only_asks(config: pytest.Config) -> bool:
    """Tell whether pytest was only asked for its help or version."""
    known = config.known_args_namespace
    return bool(getattr(known, "help", False) or getattr(known, "version", 0))


def _missing() -> Sequence[str]:
    """Return the servers to start here: what the process that hands out tests said, else all."""
    told = os.environ.get(TO_START)
    if told is not None:
        return told.split()
    return [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]


def _lets_others_run(config: pytest.Config) -> bool:
    """Tell whether this process only hands tests to pytest-xdist's workers."""
    hands_out = bool(getattr(config.known_args_namespace, "numprocesses", None))
    return hands_out and "PYTEST_XDIST_WORKER" not in os.environ


def _export(stack: contextlib.ExitStack, name: str, value: str) -> None:
    """Set the variable for this process and those that it starts."""
    os.environ[name] = value
    stack.callback(os.environ.pop, name, None)


def _end_on_sigterm() -> None:
    """Let SIGTERM end the run as Ctrl-C does, so that the servers are stopped then too."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def throw_away_folder() -> Iterator[Path]:
    """Yield a folder that the servers' account may enter; afterwards all of it is gone.

    Also what lies outside for a DATA_DIR in it that the account could not enter.
    """
    folder = Path(tempfile.mkdtemp(prefix="aftercommit-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for pointer in folder.rglob(POINTER):
            shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _folder() -> Iterator[Place]:
    with throw_away_folder() as folder:
        yield settle_place(folder / "data")
