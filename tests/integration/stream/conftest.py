"""A real stream for each server, started when first asked for and shared by the tests."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member, new_member

SERVERS = ("uvicorn", "daphne")


@pytest.fixture(scope="session")
def streams(django_db_setup: None) -> Iterator[dict[str, StreamProcess]]:
    """Keep one process for each server; with short heartbeats, so that tests see them."""
    with contextlib.ExitStack() as stack:
        running: dict[str, StreamProcess] = {}

        class Lazily(dict[str, StreamProcess]):
            def __missing__(self, server: str) -> StreamProcess:
                made = running_stream(server, STREAM_HEARTBEAT_SECONDS="1", ALLOWED_ORIGINS=FRIEND)
                self[server] = stack.enter_context(made)
                return self[server]

        running = Lazily()
        yield running


FRIEND = "https://friend.example"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Name each server in turn."""
    return str(request.param)


@pytest.fixture
def stream(server: str, streams: dict[str, StreamProcess]) -> StreamProcess:
    """Return the shared stream of this server."""
    return streams[server]


@pytest.fixture
def member(transactional_db: None) -> Member:
    """Return a member with a key, committed."""
    return new_member()
