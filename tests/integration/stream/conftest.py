"""A real stream for each server, started when first asked for and shared by the tests."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member, new_member

SERVERS = ("uvicorn", "daphne")
FRIEND, CORS_PAGE = "https://friend.example", "https://dashboard.example"
VARIABLES = {
    "STREAM_HEARTBEAT_SECONDS": "1",  # short, so that tests see them
    "ALLOWED_ORIGINS": FRIEND,
    "CORS_ALLOWED_ORIGINS": CORS_PAGE,
}


@pytest.fixture(scope="session")
def streams(django_db_setup: None) -> Iterator[dict[str, StreamProcess]]:
    """Keep one process for each server."""
    with contextlib.ExitStack() as stack:

        class Lazily(dict[str, StreamProcess]):
            def __missing__(self, server: str) -> StreamProcess:
                self[server] = stack.enter_context(running_stream(server, ready=True, **VARIABLES))
                return self[server]

        running = Lazily()
        yield running
        for one in running.values():  # whatever clients did, the server had no complaint of us
            assert "ASGI callable" not in one.log.read_text()


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
