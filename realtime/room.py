"""The followers of one workspace, and the one reader of its log in this process.

A follower joins the live ones in the very step in which it has reached the room's position, so
there is nothing between its replay and its first live event: no gap, no double.
"""

import asyncio
import logging
import uuid
from collections import deque
from time import monotonic

from realtime.backpressure import HIGH_WATER
from realtime.close_codes import TOO_SLOW
from realtime.cursor import Head
from realtime.database import in_thread
from realtime.feed import follows, read_page
from realtime.follower import Follower
from realtime.frames import Batch, EventFrame, in_batches
from realtime.limits import Limits

logger = logging.getLogger(__name__)
BATCH_BYTES = 64 * 1024
RECENT_EVENTS, RECENT_BYTES = 1000, 4 * 1024 * 1024  # kept for those who just reconnected
RETRY_SECONDS = 0.5  # after the database failed


class Room:
    """Reads each new event once and tells it to every live follower."""

    def __init__(self, workspace_id: uuid.UUID, head: Head, limits: Limits) -> None:
        self.workspace_id = workspace_id
        self.position, self.epoch = head.seq, head.epoch
        self.followers: set[Follower] = set()
        self.live: set[Follower] = set()
        self._limits = limits
        self._hinted = head.seq
        self._grown = asyncio.Event()
        self._recent: deque[EventFrame] = deque()
        self._recent_bytes = 0
        self._reader = asyncio.create_task(self._read_forever())

    def enter(self, follower: Follower) -> None:
        """Take a follower in; it replays what it missed and then is live."""
        self.followers.add(follower)
        follower.replay = asyncio.create_task(self._replay(follower))

    def leave(self, follower: Follower) -> None:
        """Forget a follower."""
        self.followers.discard(follower)
        self.live.discard(follower)

    def close(self) -> None:
        """Stop reading: nobody is here any more."""
        self._reader.cancel()

    def hint(self, seq: int) -> None:
        """Hear that the log may have grown to there."""
        if seq > self._hinted:
            self._hinted = seq
            self._grown.set()

    def look(self, head: Head, *, position_when_asked: int) -> None:
        """Take in where the log really ends; another log than the one we know resets everyone."""
        if head.epoch != self.epoch or head.seq < position_when_asked:
            self._start_over(head)
        elif head.seq > self.position:
            self._hinted = max(self._hinted, head.seq)
            self._grown.set()

    def _start_over(self, head: Head) -> None:
        logger.warning("stream_reset", extra={"workspace": str(self.workspace_id)})
        self.position, self.epoch, self._hinted = head.seq, head.epoch, head.seq
        self._recent.clear()
        self._recent_bytes = 0
        for follower in list(self.followers):
            follower.reset(head.seq, head.epoch)

    async def _read_forever(self) -> None:
        while True:
            await self._grown.wait()
            self._grown.clear()
            try:
                while await self._advance():
                    pass
            except Exception as problem:  # noqa: BLE001 a reader that ended would leave a gap
                logger.warning("stream_read_failed", extra={"problem": repr(problem)[:200]})
                await asyncio.sleep(RETRY_SECONDS)
                self._grown.set()

    async def _advance(self) -> bool:
        """Read one page and tell it; return whether there may be more."""
        asked_after = self.position
        frames = await self._page(asked_after)
        if self.position != asked_after or not frames:
            return False
        if not follows(frames, asked_after):
            self._start_over(Head(frames[-1].seq, self.epoch))
            return True
        for batch in in_batches(frames, BATCH_BYTES):
            self._tell(batch)
            await asyncio.sleep(0)  # let what was written leave, and others speak
        return len(frames) == self._limits.page or self.position < self._hinted

    def _tell(self, batch: Batch) -> None:
        self.position = batch.last
        self._remember(batch)
        for follower in list(self.live):
            if not follower.tell(batch):
                self.live.discard(follower)
                follower.replay = asyncio.create_task(self._replay(follower))

    def _remember(self, batch: Batch) -> None:
        for frame in batch.frames:
            self._recent.append(frame)
            self._recent_bytes += len(frame.text)
        while len(self._recent) > RECENT_EVENTS or self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft().text)

    async def _replay(self, follower: Follower) -> None:
        """Send what it missed, page by page as it reads; then let it join."""
        while not follower.is_over:
            if follower.position >= self.position:
                self.live.add(follower)
                return
            after = follower.position
            try:
                frames = self._recalled(after) or await self._page(after)
            except Exception as problem:  # noqa: BLE001 likewise
                logger.warning("stream_replay_failed", extra={"problem": repr(problem)[:200]})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if follower.position == after:  # or it was reset while the page was read
                self._replay_page(follower, frames)
            await self._until_drained(follower)

    def _replay_page(self, follower: Follower, frames: list[EventFrame]) -> None:
        """Send until enough waits; what is left of the page is read again later."""
        if not follows(frames, follower.position):
            follower.reset(self.position, self.epoch)
            return
        for frame in frames:
            follower.tell_one(frame)
            if follower.line.waiting() > HIGH_WATER:
                return

    async def _until_drained(self, follower: Follower) -> None:
        """Wait for a client that reads slowly; end one that does not read at all."""
        if follower.line.waiting() <= HIGH_WATER:
            await asyncio.sleep(0)
            return
        since = monotonic()
        try:
            async with asyncio.timeout(self._limits.stall):
                await follower.line.drained()
        except TimeoutError:
            logger.info("stream_stalled", extra={"seconds": monotonic() - since})
            follower.end(TOO_SLOW)

    def _recalled(self, after: int) -> list[EventFrame]:
        """Return what follows from memory, if it reaches back that far."""
        if not self._recent or self._recent[0].seq > after + 1:
            return []
        skip = after + 1 - self._recent[0].seq
        return list(self._recent)[skip : skip + self._limits.page]

    async def _page(self, after: int) -> list[EventFrame]:
        most, epoch = self._limits.page, self.epoch
        return await in_thread(read_page, self.workspace_id, after=after, most=most, epoch=epoch)
