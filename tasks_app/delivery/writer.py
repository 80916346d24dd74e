"""The hand of a drain that writes: settles outcomes in small groups, one group at a time.

In a thread with a connection of its own, beside the one that leases: a change that has just been
committed does not wait for the outcomes of others to be written down.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended

A = TypeVar("A")
T = TypeVar("T")

GROUP: Final = 50  # outcomes settled together, or fewer after TICK
TICK: Final = 0.02  # seconds
PAUSE: Final = 0.5  # seconds between tries while the database is away
FORGET: Final = 60.0  # seconds; by then the lease of what can't be settled is another's


class Book(Protocol):
    """What is written in; None where the database was away, to be tried again."""

    def settle(self, group: list[Ended]) -> int | None: ...
    def give_back(self, rows: list[Leased]) -> int | None: ...


@dataclass(kw_only=True, eq=False)
class Writer:
    """What has ended and is not yet written down."""

    book: Book  # synchronous: runs in `thread`
    thread: Executor
    news: asyncio.Event  # set after each group
    wrote: Callable[[], None]  # called by `begin` once it has seen that a group is written
    ended: list[Ended] = field(default_factory=list)
    unsent: list[Leased] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._writing: asyncio.Task[None] | None = None

    def has_work(self) -> bool:
        """Tell whether anything is not yet written down."""
        return bool(self.ended or self.unsent or self._writing)

    def begin(self, *, hurry: bool) -> None:
        """Begin to write where a group is full, has waited for a tick, or ``hurry`` says so.

        Raises what ended the last writing.
        """
        if self._writing is not None:
            if not self._writing.done():
                return
            self._writing.result()
            self._writing = None
            self.wrote()  # not by a callback: who asks `has_work` after this must know
        is_late = self.ended and time.monotonic() - self.ended[0].at >= TICK
        if self.unsent or len(self.ended) >= GROUP or is_late or (hurry and self.ended):
            self._writing = asyncio.create_task(self._write())
            self._writing.add_done_callback(lambda _: self.news.set())

    async def stop(self) -> None:
        """Write no more; what is being written may still be."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        group, unsent = self.ended[:GROUP], self.unsent[:]
        if group and await in_thread(self.thread, self.book.settle, group) is not None:
            del self.ended[: len(group)]
        if unsent and await in_thread(self.thread, self.book.give_back, unsent) is not None:
            del self.unsent[: len(unsent)]
        self._forget()

    def _forget(self) -> None:
        """Drop what the database would not take for so long that its lease has gone to others."""
        oldest = time.monotonic() - FORGET
        self.ended[:] = [one for one in self.ended if one.at > oldest]


async def in_thread(thread: Executor, work: Callable[[A], T | None], what: A) -> T | None:
    """Do the work in the thread; None where the database was away, after a pause."""
    done = await asyncio.get_running_loop().run_in_executor(thread, work, what)
    if done is None:
        await asyncio.sleep(PAUSE)
    return done
