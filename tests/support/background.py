"""A server of asyncio in a thread of its own, for tests that are not coroutines."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

T = TypeVar("T")
DEADLINE = 20.0  # seconds


@contextlib.contextmanager
def in_background(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter the server in a loop of its own, and leave it again at the end."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    entered: list[T] = []

    async def run() -> None:
        async with server as here:
            entered.append(here)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield entered[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(DEADLINE)
        loop.close()
