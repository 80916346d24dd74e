"""The loop of a drain: keep slots full, and hold nothing while sending.

There is no batch and no barrier: a slot is filled again as soon as its attempt has been settled,
however long the slowest takes. What leases and what settles run in two threads with a connection
each, so that neither the database nor its restart keeps the loop from sending, and neither of the
two keeps the other.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.connectors.last_look import LastLook, still_ours
from tasks_app.delivery.due import AHEAD, NEVER
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended
from tasks_app.delivery.writer import GROUP, TICK, Book, Writer, in_thread

logger = logging.getLogger(__name__)

PULSE: Final = TICK / 2  # seconds; how often it looks round for what is late
LOOK_EVERY: Final = 1.0  # seconds; looks for due work unasked while it sends
PATIENCE: Final = 5  # looks in vain at what is due


class Ledger(Book, Protocol):
    """What the loop needs of the database; None where it was away, to be tried again."""

    def lease(self, wanted: int) -> list[Leased] | None: ...
    def due_in(self, ahead: float) -> float | None: ...
    def abandon(self, rows: list[Leased]) -> None: ...


@dataclass(kw_only=True, eq=False)
class Pump:
    """One run of a drain."""

    ledger: Ledger  # synchronous: leases in one thread, is written in in the other
    leasing: Executor
    writing: Executor
    send: Callable[[Leased], Awaitable[Outcome]]
    may_lease: Callable[[], bool]  # False: finish what is under way
    may_send: Callable[[Leased, float], bool]  # leased then; False: it is given back
    read_word: Callable[[], bool]  # True: there may be new work; `take_word` is called then
    hear: Callable[[], None]  # before leasing on a word, so that the next commit rings again
    slots: int
    sending: dict["asyncio.Task[None]", Leased] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._look, self._looked, self._word = True, time.monotonic(), False
        self._due_at, self._in_vain = NEVER, 0
        self._news = asyncio.Event()
        self._writer = Writer(
            book=self.ledger, thread=self.writing, news=self._news, wrote=self._wrote
        )

    async def run(self) -> None:
        """Deliver until nothing is due and nothing is under way."""
        while True:
            await self._refill()
            self._writer.begin(hurry=not self.sending)
            if not (self.sending or self._expects() or self._writer.has_work()):
                return
            await self._wait()

    def take_word(self) -> None:
        """Look at once: word was left."""
        self._word = self.read_word() or self._word
        self._news.set()

    async def abandon(self) -> None:
        """Cancel every send and give back what has no outcome that was written down.

        What was cut off, and what has ended but was not written down, may have arrived.
        """
        for task in self.sending:
            task.cancel()
        left, writer = [*self.sending.values()], self._writer
        await asyncio.gather(*self.sending, return_exceptions=True)
        await writer.stop()
        left += [one.row for one in writer.unwritten()]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.writing, self.ledger.give_back, writer.unsent)
        await loop.run_in_executor(self.writing, self.ledger.abandon, left)

    async def _refill(self) -> None:
        now = time.monotonic()
        self._word = self.read_word() or self._word
        if self._word or now - self._looked > LOOK_EVERY or now >= self._due_at:
            self._look, self._due_at = True, NEVER
        if not self.may_lease():
            self._look, self._word, self._due_at = False, False, NEVER
        if self._look and self._free() > 0:
            self._looked, self._look = time.monotonic(), False
            wanted = self._free()
            rows = await in_thread(self.leasing, self._lease, wanted) or []
            for row in rows:
                self._begin(row, self._looked)
            self._look = self._look or len(rows) == wanted
            await self._expect(found=bool(rows))

    def _lease(self, wanted: int) -> list[Leased] | None:
        if self._word:
            self._word = False
            self.hear()
        return self.ledger.lease(wanted)

    def _free(self) -> int:
        return self.slots - len(self.sending) - len(self._writer.unwritten())

    async def _expect(self, *, found: bool) -> None:
        """Look again when something will be due, a gate opens or a token is there.

        What is due and still was not to be had (locked, or beyond this worker's share) is asked
        for more and more seldom, and at last left to the sweep.
        """
        self._due_at, self._in_vain = NEVER, 0 if found else self._in_vain + 1
        if self._look or self._word:
            return
        due_in = await in_thread(self.leasing, self.ledger.due_in, AHEAD)
        if due_in:
            self._due_at, self._in_vain = time.monotonic() + due_in, 0
        elif due_in is not None and found:
            self._look = True  # beyond the first share there is more
        elif due_in is not None and self._in_vain <= PATIENCE:
            self._due_at = time.monotonic() + TICK * 2**self._in_vain

    def _expects(self) -> bool:
        return self._look or self._word or self._due_at < NEVER

    def _begin(self, row: Leased, leased_at: float) -> None:
        task = asyncio.create_task(self._attempt(row, leased_at))
        self.sending[task] = row
        task.add_done_callback(self._landed)

    async def _attempt(self, row: Leased, leased_at: float) -> None:
        look = LastLook(partial(self.may_send, row, leased_at))
        if look():
            still_ours.set(look)
            outcome = await self.send(row)
            if not (look.has_refused and outcome.verdict is Verdict.FAULT):
                self._writer.ended.append(Ended(row, outcome))
                return
        self._writer.unsent.append(row)

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self.sending.pop(task, None)
        if len(self._writer.ended) >= GROUP or not self.sending:
            self._news.set()

    def _wrote(self) -> None:
        """Look for more: what was written down has left room, or given the next its turn."""
        self._look = True

    async def _wait(self) -> None:
        """Wait for news, or for a moment."""
        if (self._look or self._word) and self._free() > 0:
            return
        try:
            async with asyncio.timeout(min(PULSE, max(0.0, self._due_at - time.monotonic()))):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
