"""One client of one log: where it stands, what it wants to see, how it ends.

Everything here is synchronous and never waits: one slow client costs the others nothing.
"""

import asyncio
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from realtime.backpressure import Line
from realtime.close_codes import TOO_SLOW, Close
from realtime.filter import Filter
from realtime.frames import Batch, EventFrame, Frame, HeadFrame, Sendable
from realtime.limits import Limits
from tasks_app.queries.principal import Principal


class Follower:
    """Sees every event after its position exactly once and in order."""

    def __init__(
        self,
        *,
        line: Line,
        principal: Principal,
        limits: Limits,
        wanted: Filter | None = None,
        always_shows_head: bool = False,
    ) -> None:
        self.line = line
        self.principal = principal
        self.wanted = wanted
        self.always_shows_head = always_shows_head
        self.position = 0
        self.born = self.last_sign = monotonic()
        self.replay: asyncio.Task[None] | None = None
        self.over: asyncio.Future[Close | None] = asyncio.get_running_loop().create_future()
        self._limits = limits

    @property
    def is_over(self) -> bool:
        """Tell whether nothing may be sent any more."""
        return self.over.done()

    @property
    def expired(self) -> bool:
        """Tell whether its key or session has reached its end by this machine's clock."""
        end = self.principal.expires_at
        return end is not None and end <= datetime.now(UTC)

    @property
    def wants_heads(self) -> bool:
        """Tell whether it must be shown how far it is: events may pass it by."""
        return self.wanted is not None or self.always_shows_head

    def send(self, message: Sendable) -> None:
        """Send, unless it is over; too much waiting ends it."""
        if self.over.done():
            return
        self.line.write(message)
        if self.line.waiting() > self._limits.buffer_bytes:
            self.end(TOO_SLOW)

    def tell(self, batch: Batch) -> bool:
        """Tell of new events; return False where it lacks some before them."""
        if self.position < batch.first - 1:
            return False
        if self.wanted is None and self.position == batch.first - 1:
            self.send(batch)
        else:
            for frame in batch.frames:
                self.tell_one(frame)
        self.position = max(self.position, batch.last)
        return True

    def tell_one(self, frame: EventFrame) -> None:
        """Tell of one event that it has not seen, if it wants to."""
        if frame.seq <= self.position:
            return
        if self.wanted is None or self.wanted.matches(frame.message):
            self.send(frame)
        self.position = frame.seq

    def reset(self, head: int, epoch: str) -> None:
        """Say that its place in the log is lost; it goes on from the head."""
        self.position = head
        message: dict[str, Any] = {"type": "reset", "head": head, "epoch": epoch}
        self.send(Frame(message, cursor=f"{epoch}.{head}"))

    def show_head(self, epoch: str) -> None:
        """Say how far it is, so that it can resume from there."""
        self.last_sign = monotonic()
        self.send(HeadFrame(self.position, epoch=epoch))

    def end(self, close: Close | None) -> None:
        """End it, once; None: the client has gone by itself."""
        if not self.over.done():
            self.over.set_result(close)
            if self.replay is not None:
                self.replay.cancel()
