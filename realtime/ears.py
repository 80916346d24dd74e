"""Hearing hints from the channel layer, and mending it when it has gone deaf.

channels_redis' pubsub layer (4.3.0) loses without a word what is published while it
reconnects, never calls its `on_reconnect`, and queues without a bound. So nothing here is
relied upon: whoever listens looks at the log by itself as well, this reader does nothing but
pass hints on, and a canary of our own through Valkey shows whether we still hear.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)
CANARY = "stream.canary"
CANARY_SECONDS, DEAF_SECONDS = 2.0, 6.0
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 3.0  # for one call of the layer
CANCEL_TIMES, CANCEL_SECONDS = 5, 0.3


class Deaf(Exception):
    """Our own canary did not come back."""


class Ears:
    """One channel of this process, in the groups that somebody here follows."""

    def __init__(self, heard: Callable[[dict[str, Any]], None], mended: Callable[[], None]) -> None:
        self._heard, self._mended = heard, mended
        self._wanted: set[str] = set()
        self._changed = asyncio.Event()
        self._last_canary = 0.0
        self._task = asyncio.create_task(self._listen_forever())

    @property
    def alive(self) -> bool:
        """Tell whether a hint would reach us."""
        return monotonic() - self._last_canary < DEAF_SECONDS

    def want(self, group: str) -> None:
        """Listen to a group, as soon as the layer is there."""
        self._wanted.add(group)
        self._changed.set()

    def forget(self, group: str) -> None:
        """Stop listening to a group."""
        self._wanted.discard(group)
        self._changed.set()

    async def close(self) -> None:
        """Stop listening and give the connections back."""
        await _end([self._task])
        await self._flush()

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as problem:  # noqa: BLE001 whatever it is, we begin anew
                logger.warning("stream_deaf", extra={"problem": repr(problem)[:200]})
            self._last_canary = 0.0
            await self._flush()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        async with asyncio.timeout(PATIENCE_SECONDS):
            channel = await layer.new_channel()
        tasks = [
            asyncio.create_task(self._receive(layer, channel)),
            asyncio.create_task(self._keep_groups(layer, channel)),
            asyncio.create_task(self._keep_singing(layer, channel)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()  # none ever ends but by a failure
        finally:
            await _end(tasks)

    async def _receive(self, layer: Any, channel: str) -> None:
        while True:
            message = await layer.receive(channel)
            if message.get("type") == CANARY:
                if not self.alive:
                    self._mended()
                self._last_canary = monotonic()
            else:
                self._heard(message)

    async def _keep_groups(self, layer: Any, channel: str) -> None:
        joined: set[str] = set()
        while True:
            self._changed.clear()
            for group in self._wanted - joined:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await layer.group_add(group, channel)
                joined.add(group)
            for group in joined - self._wanted:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await layer.group_discard(group, channel)
                joined.discard(group)
            if self._wanted == joined:
                await self._changed.wait()

    async def _keep_singing(self, layer: Any, channel: str) -> None:
        """Send the canary; raises Deaf when it has not been heard for too long."""
        started = monotonic()
        while True:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await layer.send(channel, {"type": CANARY})
            await asyncio.sleep(CANARY_SECONDS)
            if monotonic() - max(self._last_canary, started) > DEAF_SECONDS:
                raise Deaf("no canary")

    async def _flush(self) -> None:
        """Drop the layer's connections, so that the next try begins anew."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await get_channel_layer().flush()


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough, and a TaskGroup would wait for ever: measured, a task that was cancelled
    within redis-py's unsubscribe went on as if nothing had happened.
    """
    for _ in range(CANCEL_TIMES):
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        if not pending:
            break
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # or asyncio complains that nobody asked
