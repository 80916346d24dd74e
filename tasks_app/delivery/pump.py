"""The loop of a drain: keep slots full, settle in small groups, hold nothing while sending.

There is no batch and no barrier: a slot is filled again as soon as its attempt has been settled,
however long the slowest takes. Lease and settle run in one helper thread with a connection of
its own, so that neither the database nor its restart keeps the loop from sending.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from tasks_app.connectors.base import Outcome
from tasks_app.delivery.due import AHEAD, NEVER
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended

logger = logging.getLogger(__name__)
A = TypeVar("A")
T = TypeVar("T")

GROUP: Final = 50  # outcomes settled together, or fewer after TICK
TICK: Final = 0.02  # seconds; also how soon word of new work is read
LOOK_EVERY: Final = 1.0  # seconds; looks for due work unasked while it sends
PATIENCE: Final = 5  # looks in vain at what is due
PAUSE: Final = 0.5  # seconds between tries while the database is away
FORGET: Final = 60.0  # seconds; by then the lease of what can't be settled is another's


class Ledger(Protocol):
    """What the loop needs of the database; None where it was away, to be tried again."""

    def lease(self, wanted: int) -> list[Leased] | None: ...
    def settle(self, group: list[Ended]) -> int | None: ...
    def give_back(self, rows: list[Leased]) -> int | None: ...
    def due_in(self, ahead: float) -> float | None: ...


@dataclass(kw_only=True, eq=False)
class Pump:
    """One run of a drain."""

    ledger: Ledger  # synchronous: runs in `thread`
    thread: Executor
    send: Callable[[Leased], Awaitable[Outcome]]
    may_lease: Callable[[], bool]  # False: finish what is under way
    may_send: Callable[[float], bool]  # of what was leased then; False: it is given back
    read_word: Callable[[], bool]  # True: there may be new work
    slots: int
    sending: dict["asyncio.Task[None]", Leased] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    unsent: list[Leased] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._look, self._looked = True, time.monotonic()
        self._due_at, self._in_vain = NEVER, 0
        self._full = asyncio.Event()

    async def run(self) -> None:
        """Deliver until nothing is due and nothing is under way."""
        while True:
            await self._refill()
            if not (self.sending or self.ended or self.unsent or self._look or self._expects()):
                return
            await self._wait()
            await self._write_down()

    async def abandon(self) -> None:
        """Cancel every send and give back what has no outcome that was written down."""
        for task in self.sending:
            task.cancel()
        left = [*self.sending.values(), *self.unsent, *(one.row for one in self.ended)]
        await asyncio.gather(*self.sending, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.thread, self.ledger.give_back, left)

    async def _refill(self) -> None:
        now = time.monotonic()
        if self.read_word() or now - self._looked > LOOK_EVERY or now >= self._due_at:
            self._look = True
        if not self.may_lease():
            self._look, self._due_at = False, NEVER
        free = self.slots - len(self.sending) - len(self.ended)
        if self._look and free > 0:
            self._looked = time.monotonic()
            rows = await self._in_thread(self.ledger.lease, free) or []
            self._look = bool(rows)
            await self._expect(found=bool(rows))
            for row in rows:
                self._begin(row, self._looked)

    async def _expect(self, *, found: bool) -> None:
        """Look again when something will be due, a gate opens or a token is there.

        What is due and still was not to be had (locked, or beyond this worker's share) is asked
        for more and more seldom, and at last left to the sweep.
        """
        self._due_at, self._in_vain = NEVER, 0 if found else self._in_vain + 1
        if found:
            return
        due_in = await self._in_thread(self.ledger.due_in, AHEAD)
        if due_in:
            self._due_at, self._in_vain = time.monotonic() + due_in, 0
        elif due_in is not None and self._in_vain <= PATIENCE:
            self._due_at = time.monotonic() + TICK * 2**self._in_vain

    def _expects(self) -> bool:
        return self._due_at < NEVER

    def _begin(self, row: Leased, leased_at: float) -> None:
        task = asyncio.create_task(self._attempt(row, leased_at))
        self.sending[task] = row
        task.add_done_callback(self._landed)

    async def _attempt(self, row: Leased, leased_at: float) -> None:
        if not self.may_send(leased_at):
            self.unsent.append(row)
            return
        outcome = await self.send(row)
        self.ended.append(Ended(row, outcome))

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self.sending.pop(task, None)
        if len(self.ended) >= GROUP or not self.sending:
            self._full.set()

    async def _wait(self) -> None:
        """Wait until a group is full, nothing is under way any more, or a tick has passed."""
        if not self.sending and not (self.ended or self.unsent or self._look):
            await asyncio.sleep(min(TICK, max(0.0, self._due_at - time.monotonic())))
        if not self.sending or len(self.ended) >= GROUP:
            return
        self._full.clear()
        try:
            async with asyncio.timeout(TICK):
                await self._full.wait()
        except TimeoutError:
            return

    async def _write_down(self) -> None:
        group, unsent = self.ended[:GROUP], self.unsent[:]
        if group and await self._in_thread(self.ledger.settle, group) is not None:
            del self.ended[: len(group)]
            self._look = True
        if unsent and await self._in_thread(self.ledger.give_back, unsent) is not None:
            del self.unsent[: len(unsent)]
        self._forget()

    def _forget(self) -> None:
        """Drop what the database would not take for so long that its lease has gone to others."""
        oldest = time.monotonic() - FORGET
        self.ended[:] = [one for one in self.ended if one.at > oldest]

    async def _in_thread(self, work: Callable[[A], T | None], what: A) -> T | None:
        done = await asyncio.get_running_loop().run_in_executor(self.thread, work, what)
        if done is None:
            await asyncio.sleep(PAUSE)
        return done
