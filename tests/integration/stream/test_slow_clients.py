"""One client that does not read costs the others nothing and this process little."""

import contextlib
import os
import socket as sockets
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.stream_client import Recorder, bearer, close_of, next_frame, socket_to
from tests.support.stream_process import StreamProcess
from tests.support.stream_world import Member, write
from tests.support.threads import until

MANY = 120  # events of 100 KiB: far more than what kernel buffers and our limit hold together
BIG = {"description": "x" * 20_000, "metadata": {"fill": "y" * 80_000}}


@contextlib.contextmanager
def deaf_client(stream: StreamProcess, key: str, address: str) -> Iterator[sockets.socket]:
    """Connect with a small receive buffer and never read."""
    with sockets.socket() as client:
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", stream.port))
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        client.sendall(
            f"GET {address} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"{upgrade if address.startswith('/ws') else ''}\r\n".encode()
        )
        yield client


def masked_text(text: bytes) -> bytes:
    """Return a client's text frame (RFC 6455 §5.3)."""
    mask = os.urandom(4)
    header = struct.pack("!BBH", 0x81, 0x80 | 126, len(text)) + mask
    return header + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))


def followers(stream: StreamProcess) -> int:
    return int(stream.ready()[1]["followers"])


@pytest.mark.parametrize("address", ["/ws/tasks", "/api/v1/events/stream"])
def test_a_client_that_never_reads_is_dropped_and_others_see_all(
    stream: StreamProcess, member: Member, address: str
) -> None:
    healthy = Recorder(stream, member.key, over="websocket")
    until(lambda: followers(stream) == 1, "the healthy one follows")
    before = stream.resident()
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(deaf_client(stream, member.key, address))
        until(lambda: followers(stream) == 6, "all follow")
        write(member.workspace.pk, MANY, **BIG)
        healthy.wait_for(MANY)
        until(lambda: followers(stream) == 1, "those that do not read are gone", 20)
        grown = stream.resident() - before
    healthy.stop()
    assert healthy.seqs == list(range(1, MANY + 1))
    assert healthy.connections == 1
    assert grown < 60 * 1024 * 1024, grown


def test_one_that_never_reads_but_goes_on_sending_is_dropped(
    stream: StreamProcess, member: Member
) -> None:
    with deaf_client(stream, member.key, "/ws/tasks") as client:
        until(lambda: followers(stream) == 1, "it follows")
        message = masked_text(b"z" * 60_000)
        gone = threading.Event()

        def talk() -> None:
            with contextlib.suppress(OSError):
                while not gone.is_set():
                    client.sendall(message)
                    time.sleep(0.03)  # below 50 a second: its rate is no offence

        talking = threading.Thread(target=talk)
        talking.start()
        until(lambda: followers(stream) == 0, "it is gone", 30)
        gone.set()
        talking.join(10)


def test_one_that_falls_behind_by_a_mebibyte_and_then_reads_finds_4008(
    stream: StreamProcess, member: Member
) -> None:
    with socket_to(stream, headers=bearer(member.key), max_queue=1, max_size=None) as socket:
        next_frame(socket)
        write(member.workspace.pk, MANY, **BIG)
        until(lambda: followers(stream) == 0, "it was too slow", 20)
        assert close_of(socket)[0] == 4008


def test_a_replay_waits_for_a_slow_reader_instead_of_dropping_it(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, MANY, **BIG)
    with socket_to(
        stream, "after=0", headers=bearer(member.key), max_queue=1, max_size=None
    ) as socket:
        next_frame(socket)
        time.sleep(1.5)  # it does other things; the replay must not run ahead of it
        assert [next_frame(socket)["seq"] for _ in range(MANY)] == list(range(1, MANY + 1))
        write(member.workspace.pk)
        assert next_frame(socket)["seq"] == MANY + 1
