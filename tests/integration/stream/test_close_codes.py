"""How a stream ends: every close code over a real socket, and the drain."""

import contextlib
import json
import socket as sockets
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from django.db import connection, transaction
from websockets.exceptions import ConnectionClosed

from tests.support.stream_client import bearer, close_of, events_from, next_frame, socket_to
from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member
from tests.support.threads import until


def test_a_frame_over_64_kib_is_1009_and_one_of_64_kib_is_answered(
    stream: StreamProcess, member: Member
) -> None:
    with socket_to(stream, headers=bearer(member.key), max_size=None) as socket:
        next_frame(socket)
        socket.send("x" * 65536)
        assert len(next_frame(socket)["message"]) == 65536
        with contextlib.suppress(ConnectionClosed):
            socket.send("x" * 1_000_000)
        assert close_of(socket)[0] == 1009


def test_a_fragmented_message_over_64_kib_is_1009_too(
    stream: StreamProcess, member: Member
) -> None:
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        with contextlib.suppress(ConnectionClosed):
            socket.send("x" * 10_000 for _ in range(8))
        assert close_of(socket)[0] == 1009


def test_more_than_50_messages_a_second_is_4029(stream: StreamProcess, member: Member) -> None:
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        for _ in range(50):
            socket.send('{"type": "ping"}')
        for _ in range(50):
            assert next_frame(socket) == {"type": "pong"}
        with contextlib.suppress(ConnectionClosed):
            for _ in range(51):
                socket.send('{"type": "ping"}')
        assert close_of(socket)[0] == 4029


@pytest.fixture
def short_lived(server: str, member: Member) -> Iterator[StreamProcess]:
    with running_stream(server, STREAM_MAX_AGE_SECONDS="2", STREAM_DRAIN_SECONDS="1") as stream:
        yield stream


def test_a_stream_of_full_age_is_4009_and_all_are_sent_away_with_4001(
    short_lived: StreamProcess, member: Member
) -> None:
    headers = bearer(member.key)
    with (
        socket_to(short_lived, headers=headers) as socket,
        events_from(short_lived, headers=headers) as events,
    ):
        assert close_of(socket)[0] == 4009
        assert [event for event in events if event.data][-1].frame["code"] == 4009
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket_to(short_lived, headers=headers)) for _ in range(12)]
        events = stack.enter_context(events_from(short_lived, headers=headers))
        for socket in opened:
            next_frame(socket)
        closed_at: list[float] = []
        codes: list[int] = []

        def note(socket: object) -> None:
            codes.append(close_of(socket)[0])  # type: ignore[arg-type]
            closed_at.append(time.monotonic())

        threads = [threading.Thread(target=note, args=(each,)) for each in opened]
        for thread in threads:
            thread.start()
        exits: list[int] = []
        stopping = threading.Thread(target=lambda: exits.append(short_lived.terminate()))
        stopping.start()
        until(lambda: _not_ready(short_lived), "readiness says no while followers are still there")
        still_there = 12 - len(codes)
        for thread in [*threads, stopping]:
            thread.join(20)
        bye = [event for event in events if event.data][-1]
    assert still_there > 0
    assert codes == [4001] * 12
    assert max(closed_at) - min(closed_at) > 0.3  # spread, not all at once
    assert (bye.name, bye.frame["code"]) == ("bye", 4001)
    assert exits == [0]


def _not_ready(stream: StreamProcess) -> bool:
    status, checks = stream.ready()
    return status == 503 and bool(checks["draining"])


def test_one_that_is_let_in_while_the_drain_ends_is_sent_away_with_4001(
    server: str, member: Member
) -> None:
    headers = bearer(member.key)
    with running_stream(server) as stream, contextlib.ExitStack() as stack:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE")
            late = stack.enter_context(socket_to(stream, headers=headers))  # waits for that lock
            stopping = threading.Thread(target=stream.terminate)
            stopping.start()
            until(lambda: _not_ready(stream), "it drains")  # and has nobody to send away
        assert close_of(late)[0] == 4001
        stopping.join(20)


def test_one_that_will_not_read_its_close_does_not_hold_up_the_end(
    server: str, member: Member
) -> None:
    with (
        running_stream(server) as stream,
        sockets.create_connection(("127.0.0.1", stream.port)),  # a probe that says no word
        sockets.create_connection(("127.0.0.1", stream.port)) as deaf,
    ):
        deaf.sendall(
            b"GET /ws/tasks HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + member.key.encode() + b"\r\n\r\n"
        )
        until(lambda: stream.ready()[1]["followers"] == 1, "it follows")
        assert stream.terminate() == 0


def test_unknown_addresses_are_refused(stream: StreamProcess, member: Member) -> None:
    url = f"{stream.url}/ws/elsewhere"
    assert httpx.get(url).status_code == 404
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert httpx.get(url, headers=headers).status_code == 403


def test_an_echo_keeps_every_character(stream: StreamProcess, member: Member) -> None:
    text = "ünï \u0000 \u2028 😀 \\ud800"
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        socket.send(text)
        assert next_frame(socket) == {"type": "echo", "message": text}
        socket.send(json.dumps({"type": "echo"}))
        assert next_frame(socket) == {"type": "echo", "message": None}
