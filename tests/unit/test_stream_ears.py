"""Ending tasks that do not want to end."""

import asyncio

from realtime.ears import _end


async def test_a_task_that_swallows_its_first_cancellation_ends_all_the_same() -> None:
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await _end([task])
    assert swallowed.is_set()
    assert task.cancelled()


async def test_the_failure_of_a_task_that_ends_is_nobody_s_surprise() -> None:
    async def failing() -> None:
        raise ConnectionError

    task = asyncio.create_task(failing())
    await _end([task])
    assert task.done()
