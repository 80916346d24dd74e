"""What anybody may cost the stream process: bodies, threads and connections are bounded."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from realtime.database import THREADS
from tasks_app.api.export import THREADS as READERS
from tasks_app.api.seats import SEATS
from tasks_app.models import ImportJob
from tests.support.stream_process import StreamProcess
from tests.support.stream_world import Member, new_member
from tests.support.threads import until

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 2**20
LASTING = THREADS + READERS  # connections of lasting threads
REFUSED, SLOW = 30, 10
PATHS = ("/api/v1/tasks/export/", "/stream/x")


@pytest.fixture
def stream(streams: dict[str, StreamProcess], transactional_db: None) -> StreamProcess:
    """Return uvicorn's: Daphne hands a body over when it has all of it."""
    return streams["uvicorn"]


def answer_to(stream: StreamProcess, head: str, pieces: Iterable[bytes] = ()) -> bytes:
    """Send a request as it is, as far as it is taken; return its whole answer."""
    with socket.create_connection(("127.0.0.1", stream.port), timeout=20) as peer:
        peer.sendall(head.encode())
        for piece in pieces:
            peer.sendall(piece)
        found = b""
        while data := peer.recv(65_536):
            found += data
    return found


def chunks(size: int) -> Iterator[bytes]:
    """Give a chunked body of so many bytes that never ends (RFC 9112 §7.1)."""
    for _ in range(0, size, 65_536):
        yield b"10000\r\n" + bytes(65_536) + b"\r\n"


@pytest.mark.parametrize("path", PATHS)
def test_a_body_beyond_the_limit_is_a_problem_with_a_length_and_without(
    stream: StreamProcess, path: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\n"
    told = answer_to(stream, f"{head}Content-Length: 20000000000\r\n\r\n")
    found = answer_to(stream, f"{head}Transfer-Encoding: chunked\r\n\r\n", chunks(MIB + 65_536))
    for answer in (told, found):
        start, _, body = answer.partition(b"\r\n\r\n")
        assert start.startswith(b"HTTP/1.1 413 ")
        assert b"x-request-id: mine" in start.lower()
        assert b"content-type: application/problem+json" in start.lower()
        assert json.loads(body)["type"] == "/problems/too_large"


@pytest.mark.parametrize(("path", "status"), [(PATHS[0], 405), (PATHS[1], 404)])
def test_a_body_within_the_limit_is_heard(stream: StreamProcess, path: str, status: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", stream.port, timeout=20)
    with closing(client):
        key = {"Authorization": f"Bearer {new_member().key}"}
        client.request("POST", path, b" " * MIB, {**key, "Content-Type": "application/json"})
        assert client.getresponse().status == status


def refused(stream: StreamProcess) -> int:
    """Ask for an export with a key that is none."""
    client = http.client.HTTPConnection("127.0.0.1", stream.port, timeout=20)
    with closing(client):
        client.request("GET", PATHS[0], headers={"Authorization": "Bearer ac_" + "x" * 32})
        return client.getresponse().status


def slow_upload(stream: StreamProcess, member: Member) -> http.client.HTTPConnection:
    """Begin a file, and send its first part alone."""
    client = http.client.HTTPConnection("127.0.0.1", stream.port, timeout=20)
    client.putrequest("POST", "/api/v1/imports/")
    client.putheader("Content-Type", "text/csv")
    client.putheader("Content-Length", str(3 * MIB))
    client.putheader("Authorization", f"Bearer {member.key}")
    client.endheaders()
    client.send(b"title\n" + b"x\n" * 150_000)
    return client


def test_refusals_and_slow_files_hold_no_connection(stream: StreamProcess) -> None:
    """However many there are at once, no more than there are seats."""
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(stream.connections())
            time.sleep(0.01)

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(REFUSED + 1))
        stack.callback(over.set)
        pool.submit(watch)
        for member in [new_member(scope="write") for _ in range(SLOW // 5)]:
            for _ in range(5):
                stack.enter_context(closing(slow_upload(stream, member)))
        answers = list(pool.map(lambda _: refused(stream), range(REFUSED)))
        assert set(answers) == {401}
        until(lambda: ImportJob.objects.count() == SLOW, "all files are on their way")
        until(lambda: stream.connections() <= LASTING, "who waits holds none")
        assert max(seen) <= LASTING + SEATS
    until(lambda: not ImportJob.objects.exists(), "what broke off leaves nothing")
    assert stream.connections() <= LASTING
