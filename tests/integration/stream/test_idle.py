"""What followers cost while nothing happens, what readiness says, and which pages may read."""

import contextlib
from pathlib import Path

import httpx
from websockets.sync.client import ClientConnection

from realtime.database import THREADS
from tasks_app.api.export import THREADS as READERS
from tests.integration.stream.conftest import CORS_PAGE
from tests.support.stream_client import bearer, events_from, next_frame, socket_to
from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member, write
from tests.support.threads import until

FOLLOWERS = 120


def threads_of(stream: StreamProcess) -> int:
    return len(list(Path(f"/proc/{stream.pid}/task").iterdir()))


def test_idle_followers_hold_neither_connections_nor_threads(
    stream: StreamProcess, member: Member
) -> None:
    with contextlib.ExitStack() as stack:
        before = threads_of(stream)
        sockets: list[ClientConnection] = []
        for number in range(FOLLOWERS):
            if number % 12:
                sockets.append(stack.enter_context(socket_to(stream, headers=bearer(member.key))))
            else:
                stack.enter_context(events_from(stream, headers=bearer(member.key)))
        until(lambda: stream.ready()[1]["followers"] == FOLLOWERS, "all follow")
        for socket in sockets:
            next_frame(socket)
        assert threads_of(stream) <= before + THREADS + 1
        assert stream.connections() <= THREADS + READERS + 1
        write(member.workspace.pk)
        assert {next_frame(socket)["seq"] for socket in sockets} == {1}


def test_readiness_tells_of_database_subscription_and_drain(
    stream: StreamProcess, member: Member
) -> None:
    until(lambda: stream.ready()[0] == 200, "it has recovered from the tests before")
    _, checks = stream.ready()
    assert checks == {
        "database": "ok",
        "subscription": "alive",
        "draining": False,
        "followers": checks["followers"],
    }


def test_without_a_database_a_stream_is_not_ready_and_sends_clients_elsewhere(
    member: Member,
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    with running_stream("uvicorn", ready=False, DATABASE_URL=nowhere) as stream:
        until(lambda: answers(stream), "it serves")
        assert stream.ready()[0] == 503
        url = f"{stream.url}/api/v1/events/stream"
        answer = httpx.get(url, headers=bearer(member.key), timeout=30)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


def answers(stream: StreamProcess) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return stream.ready()[0] > 0
    return False


def test_named_pages_may_read_an_event_stream(stream: StreamProcess, member: Member) -> None:
    url = f"{stream.url}/api/v1/events/stream"
    preflight = httpx.options(url, headers={"Origin": CORS_PAGE})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == CORS_PAGE
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    foreign = httpx.options(url, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    headers = bearer(member.key) | {"Origin": CORS_PAGE}
    with httpx.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == CORS_PAGE
        assert "Origin" in answer.headers["vary"]
    wrong = httpx.get(url, headers={"Origin": CORS_PAGE})
    assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (401, CORS_PAGE)
