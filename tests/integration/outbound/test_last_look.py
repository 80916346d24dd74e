"""Whoever was stopped before its first byte left sends nothing: looked at as late as can be."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tasks_app.connectors.http import Door, DoorFailure
from tasks_app.connectors.http.handler import Handler
from tasks_app.connectors.last_look import still_ours
from tests.support import receiver as bad
from tests.support.receiver import receiver


@contextlib.contextmanager
def ours_for(looks: int) -> Iterator[None]:
    """Let this many looks find that the attempt is still ours."""
    left = iter([True] * looks)
    token = still_ours.set(lambda: next(left, False))
    try:
        yield
    finally:
        still_ours.reset(token)


async def ask(door: Door, url: str, method: str) -> int:
    body = b"{}" if method == "POST" else b""
    answer = await door.request(method=method, url=url, headers={}, body=body, timeout=5)
    return answer.status


@pytest.mark.asyncio
@pytest.mark.parametrize("is_kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize(("method", "looks"), [("DELETE", 0), ("POST", 0), ("POST", 1)])
async def test_nothing_leaves_once_another_may_send_it(
    method: str, looks: int, is_kept: bool
) -> None:
    door = Door(allowed_networks=["127.0.0.1/32"])
    async with receiver(bad.well) as peer:
        if is_kept:
            await ask(door, peer.url, "POST")
        with ours_for(looks), pytest.raises(DoorFailure) as failed:
            await ask(door, peer.url, method)
        assert await ask(door, peer.url, "POST") == 200
        assert len(peer.requests) == 1 + is_kept
    assert door.in_flight == 0
    await door.aclose()
    failure = failed.value
    assert (failure.code, failure.phase, failure.ours) == ("fault", "connect", True)
    assert "it did not" in failure.detail


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_what_is_written_is_with_the_kernel_before_anything_else_happens(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(_read_at_once()) == b"request"


async def _read_at_once() -> bytes:
    """Write, and read at the other end without giving the loop a turn."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport, _ = await loop.create_connection(lambda: Handler(loop), *listening.getsockname())
        with contextlib.closing(transport), listening.accept()[0] as other:
            other.settimeout(10)
            transport.write(b"request")
            return other.recv(100)
