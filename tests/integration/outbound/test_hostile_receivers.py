"""Receivers that mean harm, one by one: each ends soon, in the phase where it went wrong."""

import asyncio
import select

import pytest
from aiohttp.client_proto import ResponseHandler

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.http import ANSWER_BYTES, Door, DoorFailure
from tests.support import hostile as evil
from tests.support import receiver as bad
from tests.support.bombs import BOMBS
from tests.support.doors import a_door, failure, post
from tests.support.receiver import Exchange, receiver

PROTOCOL, RESET = ErrorCode.PROTOCOL_ERROR, ErrorCode.CONNECTION_RESET

REFUSED = [
    (evil.flood_of_interim, PROTOCOL, Phase.HEADERS),
    (evil.flood_of_hints, PROTOCOL, Phase.HEADERS),
    (evil.endless_header_line, PROTOCOL, Phase.HEADERS),
    (evil.endless_headers, PROTOCOL, Phase.HEADERS),
    (evil.bad_chunk_size, PROTOCOL, None),
    (evil.endless_extension, PROTOCOL, None),
    (evil.endless_trailer, PROTOCOL, None),
    (evil.no_chunk_end, RESET, Phase.BODY),
    (evil.negative_length, PROTOCOL, Phase.HEADERS),
    (evil.endless_length, PROTOCOL, Phase.HEADERS),
    (evil.length_and_chunks, PROTOCOL, Phase.HEADERS),
    (evil.http_0_9, PROTOCOL, Phase.HEADERS),
    (evil.http_2, PROTOCOL, Phase.HEADERS),
    (evil.nothing, RESET, Phase.HEADERS),
    (evil.nul_in_header, PROTOCOL, Phase.HEADERS),
    (evil.status_99999, PROTOCOL, Phase.HEADERS),
]


@pytest.mark.parametrize(
    ("script", "code", "phase"), REFUSED, ids=[row[0].__name__ for row in REFUSED]
)
async def test_what_is_no_answer_ends_long_before_the_deadline(
    script: bad.Script, code: ErrorCode, phase: Phase | None
) -> None:
    async with receiver(script) as peer, a_door() as door:
        failed = await failure(door, peer.url, timeout=60.0)
    assert failed.code is code
    assert failed.phase in ({phase} if phase else {Phase.HEADERS, Phase.BODY})
    assert failed.phase.value in failed.phases
    assert not failed.ours
    assert len(peer.requests) == 1


@pytest.mark.parametrize("coding", list(BOMBS))
async def test_a_bomb_of_any_coding_stays_packed(coding: str) -> None:
    async with receiver(evil.bomb(coding)) as peer, a_door() as door:
        answer = await post(door, peer.url)
    assert answer.body == BOMBS[coding]()[:ANSWER_BYTES]
    assert answer.headers["Content-Encoding"] == coding


@pytest.mark.parametrize(
    "script", [evil.endless_tiny_chunks, evil.huge_chunk], ids=["tiny", "huge"]
)
async def test_chunks_of_any_size_are_read_to_the_bound_of_the_answer(script: bad.Script) -> None:
    async with receiver(script) as peer, a_door() as door:
        answer = await post(door, peer.url, timeout=60.0)
    assert (len(answer.body), answer.is_whole) == (ANSWER_BYTES, False)


async def test_nul_and_broken_text_arrive_as_they_are() -> None:
    async with receiver(evil.broken_text) as peer, a_door() as door:
        answer = await post(door, peer.url)
    assert (answer.status, answer.body) == (503, b"a\0b\xff\xfe")
    assert answer.headers["X-A"].encode(errors="surrogateescape") == b"\xff\xfe"


async def test_an_answer_longer_than_it_said_is_cut_and_its_connection_not_used_again() -> None:
    async def too_long(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 X\r\n\r\n")

    async with receiver(too_long) as peer, a_door() as door:
        for _ in range(3):
            answer = await post(door, peer.url)
            assert (answer.status, answer.body) == (200, b"ok")
    assert peer.connections == 3


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    async with receiver(evil.answers_twice) as peer, a_door() as door:
        for _ in range(3):
            assert (await post(door, peer.url)).status == 200
            while door.idle:  # the second answer closes the connection while it rests
                await asyncio.sleep(0.005)
    assert peer.connections == 3


async def test_what_has_come_unread_on_an_idle_connection_is_not_the_answer() -> None:
    """The loop has not read it yet when the next request takes the connection."""
    async with receiver(evil.answers_twice) as peer, a_door() as door:
        assert (await post(door, peer.url)).status == 200
        [[(idle, _)]] = door._connector._conns.values()
        assert idle.transport is not None
        idle.transport.pause_reading()
        while not _has_something(idle):
            await asyncio.sleep(0.005)
        assert door.idle == 1
        assert (await post(door, peer.url)).status == 200
    assert peer.connections == 2


def _has_something(protocol: ResponseHandler) -> bool:
    assert protocol.transport is not None
    sock = protocol.transport.get_extra_info("socket")
    return bool(select.select([sock.fileno()], [], [], 0)[0])


async def test_a_redirect_inside_is_only_told() -> None:
    async with receiver(evil.redirect_inside) as peer, a_door() as door:
        answer = await post(door, peer.url)
    assert answer.status == 307


@pytest.mark.parametrize("script", [evil.status_0, evil.status_999], ids=["000", "999"])
async def test_a_status_that_does_not_exist_is_told_as_it_is(script: bad.Script) -> None:
    async with receiver(script) as peer, a_door() as door:
        assert (await post(door, peer.url)).status in {0, 999}


async def _alone(door: Door, script: bad.Script) -> ErrorCode:
    async with receiver(script) as peer:
        with pytest.raises(DoorFailure) as caught:
            await post(door, peer.url, timeout=60.0)
    return caught.value.code


async def _well(door: Door) -> list[int]:
    async with receiver(bad.well) as peer:
        return [(await post(door, peer.url, timeout=60.0)).status for _ in range(20)]


async def test_a_bad_peer_s_noise_does_not_reach_another_s_request() -> None:
    """All at once through one Door, each with the outcome it has alone."""
    async with a_door() as door, asyncio.TaskGroup() as group:
        tasks = {row[0]: group.create_task(_alone(door, row[0])) for row in REFUSED}
        good = group.create_task(_well(door))
    assert {script: task.result() for script, task in tasks.items()} == {
        script: code for script, code, _ in REFUSED
    }
    assert good.result() == [200] * 20
