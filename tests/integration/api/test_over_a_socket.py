"""What only a real server shows: hostile bytes, chunked bodies, a broker that is silent."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tasks_app.models import Membership, Task, Workspace
from tests.support import factories
from tests.support.api_server import api_server
from tests.support.callers import api_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return factories.workspace()


@pytest.fixture
def key(workspace: Workspace) -> str:
    return api_key(Membership.objects.get(workspace=workspace))[0]


@pytest.fixture
def port() -> Iterator[int]:
    with api_server() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a broker that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def exchange(port: int, request: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are; return status, head and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(request)
        received = b""
        while True:
            try:
                part = peer.recv(65_536)
            except ConnectionResetError:
                break
            if not part:
                break
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


def post(key: str, *head: str, body: bytes = b"") -> bytes:
    lines = [
        "POST /api/v1/tasks/ HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        "Connection: close",
        *head,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    framed = (f"{len(part):x}".encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return b"".join(framed) + b"0\r\n\r\n"


def test_bodies_as_they_come_from_the_wire(port: int, key: str) -> None:
    good = b'{"title":"a chunked title"}'
    in_chunks = "Transfer-Encoding: chunked"
    large = b'{"title":"' + b"a" * (1024 * 1024) + b'"}'
    parts = [large[i : i + 50_000] for i in range(0, len(large), 50_000)]
    for request, status in (
        (post(key, f"Content-Length: {len(good)}", body=good), 201),
        (post(key, in_chunks, body=chunked(good[:9], good[9:])), 201),
        (post(key, in_chunks, body=chunked(b'{"title":"\xff"}')), 400),
        (post(key, "Content-Length: 13", body=b'{"title":"\xc3"}'), 400),
        (post(key, in_chunks, body=chunked()), 400),
        (post(key), 400),
        (post(key, in_chunks, body=chunked(*parts)), 413),
        (post(key, f"Content-Length: {len(large)}", body=large), 413),
    ):
        got, head, body = exchange(port, request)
        assert got == status, body
        if status >= 400:
            assert b"application/problem+json" in head
            assert json.loads(body)["status"] == status
        assert b"x-request-id: " in head
    assert Task.objects.count() == 2


def test_hostile_heads_write_nothing_and_leave_the_server_standing(port: int, key: str) -> None:
    good = b'{"title":"smuggled"}'
    for request in (
        post(key, "Content-Length: -1", body=good),
        post(key, "Content-Length: 5, 20", body=good),
        post(key, "Content-Length: twenty", body=good),
        post(key, "Transfer-Encoding: chunked", body=b"zz\r\n" + good),
        post(key, "X-Request-ID: a\x00b", f"Content-Length: {len(good)}", body=good),
        post("\xff\xfe", f"Content-Length: {len(good)}", body=good),
        b"\x00\x01\x02\r\n\r\n",
        b"GET /api/v1/tasks/?search=%ff%00 HTTP/1.1\r\nHost: localhost\r\n"
        + f"Authorization: Bearer {key}\r\nConnection: close\r\n\r\n".encode(),
        b"GET /%c0%ae%c0%ae/etc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ):
        try:
            status, _, body = exchange(port, request)
        except (IndexError, ValueError, TimeoutError):
            continue  # closed without an answer: the server's HTTP parser has refused it
        assert 400 <= status < 500, (request, body)
    assert not Task.objects.exists()
    assert exchange(port, post(key, f"Content-Length: {len(good)}", body=good))[0] == 201


def test_a_body_that_is_too_large_is_refused_only_once_the_limit_has_come(
    port: int, key: str
) -> None:
    """A proxy that is still sending would take an earlier answer for a fault."""
    limit = 1024 * 1024
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(post(key, f"Content-Length: {2 * limit}", body=b" " * limit))
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        peer.settimeout(20)
        peer.sendall(b" ")
        assert peer.recv(65_536).split()[1] == b"413"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 500", b'{"title":"half"}'),
        ("Transfer-Encoding: chunked", b'10\r\n{"title":"half"}\r\n'),
        ("Transfer-Encoding: chunked", b'10\r\n{"title":"half"}\r\nzz\r\n'),
    ],
)
def test_a_body_that_ends_early_writes_nothing(port: int, key: str, head: str, body: bytes) -> None:
    request = post(key, head, body=body)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(request)
        peer.shutdown(socket.SHUT_WR)
        answer = peer.recv(65_536)
    assert not answer or answer.split()[1].startswith(b"4")
    assert not Task.objects.exists()


@pytest.mark.parametrize("broker", ["down", "silent"])
def test_without_the_broker_tasks_are_still_accepted(key: str, broker: str, silent: str) -> None:
    address = silent if broker == "silent" else "redis://127.0.0.1:1/0"
    good = b'{"title":"kept"}'
    create = post(key, f"Content-Length: {len(good)}", body=good)
    with api_server(REDIS_URL=address) as port:
        began = time.monotonic()
        statuses = [exchange(port, create)[0] for _ in range(5)]
        took = time.monotonic() - began
        read = create.replace(b"POST", b"GET", 1).partition(b"Content-Length")[0] + b"\r\n"
        assert exchange(port, read)[0] == 200
    assert statuses == [201] * 5
    assert Task.objects.count() == 5
    # Not a measure of speed: a wait without a bound would never end, one of seconds shows here.
    assert took < 15
