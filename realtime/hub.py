"""One hub per process and loop: rooms, ears and the clock that every follower shares.

A hint is only a hint. The hub looks at the ends of all followed logs by itself every few
seconds in one query, and asks just as regularly whether its followers still may follow; so a
lost, doubled or reordered message, or Valkey's death, costs seconds and never an event.
"""

import asyncio
import contextlib
import logging
import uuid
import weakref
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from realtime.auth import gone, still_valid
from realtime.close_codes import GOING_AWAY, NO_WORKSPACE, REVOKED, TOO_OLD, TOO_SLOW
from realtime.cursor import Cursor, Head
from realtime.database import in_thread
from realtime.ears import Ears
from realtime.feed import read_heads
from realtime.follower import Follower
from realtime.frames import Frame
from realtime.limits import Limits, limits_from_settings
from realtime.room import Room
from tasks_app.events import wire
from tasks_app.observability.metrics import FOLLOWERS

logger = logging.getLogger(__name__)
TICK_SECONDS = 0.5
PAUSE_SECONDS = 0.1  # between two visits to the database, however often we are asked
READY_FIRST_SECONDS = 0.3  # between "not ready" and the first close
_hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = weakref.WeakKeyDictionary()


def hub() -> "Hub":
    """Return the hub of the running loop, started on first use (Daphne has no lifespan)."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub(limits_from_settings())
    return found


class Hub:
    """Everything that the followers of this process share."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.followers: set[Follower] = set()
        self.rooms: dict[uuid.UUID, Room] = {}
        self.draining = False
        self._look_now, self._recheck_now = asyncio.Event(), asyncio.Event()
        self.ears = Ears(self._hear, self._look_now.set)
        self.ears.want(wire.CONTROL_GROUP)
        self._tasks = [
            asyncio.create_task(self._tick_forever()),
            asyncio.create_task(_regularly(self._look, limits.look, self._look_now)),
            asyncio.create_task(_regularly(self._recheck, limits.recheck, self._recheck_now)),
        ]

    def enter(self, follower: Follower, *, head: Head, cursor: Cursor | None) -> None:
        """Welcome a follower and let it in where its cursor lies, or at the head without one.

        ``head`` is the end of the log, read just now. Who was still being admitted when the drain
        began is sent away like the others.
        """
        if self.draining:
            follower.end(GOING_AWAY)
            return
        room = self._room(follower.principal.workspace_id, head)
        self.followers.add(follower)
        FOLLOWERS.set(len(self.followers))
        lost = cursor is not None and not cursor.lies_in(head)
        follower.position = head.seq if cursor is None or lost else cursor.seq
        follower.send(self._welcome(follower, head))
        if lost:
            follower.reset(head.seq, head.epoch)
        room.enter(follower)

    def leave(self, follower: Follower) -> None:
        """Forget a follower, and the room with its last one."""
        self.followers.discard(follower)
        FOLLOWERS.set(len(self.followers))
        room = self.rooms.get(follower.principal.workspace_id)
        if room is None:
            return
        room.leave(follower)
        if not room.followers:
            room.close()
            del self.rooms[room.workspace_id]
            self.ears.forget(wire.workspace_group(room.workspace_id))

    def show_head(self, follower: Follower) -> None:
        """Tell a follower how far it is."""
        room = self.rooms.get(follower.principal.workspace_id)
        if room is not None:
            follower.show_head(room.epoch)

    async def drain(self) -> None:
        """Say "not ready", then send everybody away, spread over the drain time."""
        self.draining = True
        leaving = list(self.followers)
        if not leaving:
            return
        await asyncio.sleep(READY_FIRST_SECONDS)
        pause = self.limits.drain / len(leaving)
        start = monotonic()
        for number, follower in enumerate(leaving, 1):
            follower.end(GOING_AWAY)
            ahead = start + pause * number - monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
        for follower in list(self.followers):
            follower.end(GOING_AWAY)

    async def close(self) -> None:
        """Stop everything; for the end of a process."""
        for task in self._tasks:
            task.cancel()
        for room in self.rooms.values():
            room.close()
        await self.ears.close()

    def _welcome(self, follower: Follower, head: Head) -> Frame:
        """Return the first message; its SSE id is where the follower begins, not the head."""
        message = {
            "type": "welcome",
            "workspace": follower.principal.workspace,
            "head": head.seq,
            "epoch": head.epoch,
            "limits": self.limits.announced(),
        }
        return Frame(message, cursor=f"{head.epoch}.{follower.position}")

    def _room(self, workspace_id: uuid.UUID, head: Head) -> Room:
        room = self.rooms.get(workspace_id)
        if room is None:
            room = self.rooms[workspace_id] = Room(workspace_id, head, self.limits)
            self.ears.want(wire.workspace_group(workspace_id))
            self._look_now.set()
        elif head.epoch != room.epoch or head.seq > room.position:
            room.look(head, position_when_asked=0)
        return room

    def _hear(self, message: dict[str, Any]) -> None:
        """Take a hint; whatever is not understood is nothing to us."""
        kind = message.get("type")
        if kind == wire.LOG_GREW:
            with contextlib.suppress(KeyError, ValueError, TypeError):
                self.rooms[uuid.UUID(message["workspace"])].hint(int(message["seq"]))
        elif kind == wire.ACCESS_CHANGED:
            self._recheck_now.set()

    async def _look(self) -> None:
        """Compare every room with the end of its log."""
        asked = {room.workspace_id: room.position for room in self.rooms.values()}
        if not asked:
            return
        heads = await in_thread(read_heads, asked)
        for workspace_id, position in asked.items():
            room, head = self.rooms.get(workspace_id), heads.get(workspace_id)
            if room is not None and head is not None:
                room.look(head, position_when_asked=position)

    async def _recheck(self) -> None:
        """End those who may no longer follow; take in what has changed for the others."""
        asked = {follower: follower.principal for follower in self.followers}
        if not asked:
            return
        valid = await in_thread(still_valid, asked.values())
        ended = {p.workspace_id for p in asked.values() if p not in valid}
        lost = await in_thread(gone, ended) if ended else set()
        for follower, principal in asked.items():
            if follower.principal is not principal:
                continue  # it has proved itself anew meanwhile
            if principal in valid:
                follower.principal = valid[principal]
            else:
                follower.end(NO_WORKSPACE if principal.workspace_id in lost else REVOKED)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for follower in list(self.followers):
                self._tick(follower, monotonic())

    def _tick(self, follower: Follower, now: float) -> None:
        if now - follower.born > self.limits.max_age:
            follower.end(TOO_OLD)
        elif follower.line.waiting() > self.limits.buffer_bytes:
            follower.end(TOO_SLOW)
        elif follower.expired:
            self._recheck_now.set()
        elif now - follower.last_sign > self.limits.heartbeat and follower.wants_heads:
            self.show_head(follower)


async def _regularly(
    work: Callable[[], Awaitable[None]], seconds: float, at_once: asyncio.Event
) -> None:
    """Do it every so often and whenever asked; a failure is logged and tried again."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await at_once.wait()
        at_once.clear()
        try:
            await work()
        except Exception as problem:  # noqa: BLE001 the clock must not stop
            logger.warning("stream_look_failed", extra={"problem": repr(problem)[:200]})
            await asyncio.sleep(min(seconds, 1.0))
        await asyncio.sleep(PAUSE_SECONDS)
