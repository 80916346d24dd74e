"""A coroutine's world, run in a thread of its own, for tests that are no coroutines."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0  # seconds


@contextlib.contextmanager
def in_loop(world: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter it in an event loop of a thread, and leave it there."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    done = asyncio.Event()
    inside: list[T] = []

    async def run() -> None:
        async with world as made:
            inside.append(made)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield inside[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(PATIENCE)
        loop.close()
