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
AGAIN: Final = 0.5  # seconds between tries while a workspace is held up
FORGET: Final = 60.0  # seconds; by then the lease of what can't be settled is another's


class Book(Protocol):
    """What is written in; None where the database was away, to be tried again.

    What settles or gives back returns that of which another transaction holds the workspace up.
    """

    def settle(self, group: list[Ended]) -> list[Ended] | None: ...
    def settle_apart(self, group: list[Ended]) -> list[Ended] | None: ...
    def give_back(self, rows: list[Leased]) -> list[Leased] | None: ...


@dataclass(kw_only=True, eq=False)
class Writer:
    """What has ended and is not yet written down."""

    book: Book  # synchronous: runs in `thread`
    thread: Executor
    news: asyncio.Event  # set after each group
    wrote: Callable[[], None]  # called by `begin` once it has seen that a group is written
    ended: list[Ended] = field(default_factory=list)
    aside: list[Ended] = field(default_factory=list)  # of workspaces that are held up
    unsent: list[Leased] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._again_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    def has_work(self) -> bool:
        """Tell whether anything is not yet written down."""
        return bool(self.ended or self.aside or self.unsent or self._writing)

    def unwritten(self) -> list[Ended]:
        """Return the outcomes that are not yet written down."""
        return [*self.ended, *self.aside]

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
        is_again = self.aside and time.monotonic() >= self._again_at
        is_ended = len(self.ended) >= GROUP or is_late or (hurry and self.ended)
        if self.unsent or is_ended or is_again:
            self._writing = asyncio.create_task(self._write())
            self._writing.add_done_callback(lambda _: self.news.set())

    async def stop(self) -> None:
        """Write no more; what is being written may still be."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        self._set_aside()
        group, unsent = self.ended[:GROUP], self.unsent[:]
        if group:
            held_up = await in_thread(self.thread, self.book.settle, group)
            if held_up is not None:
                del self.ended[: len(group)]
                self._put_off(held_up)
        if self.aside and time.monotonic() >= self._again_at:
            await self._write_aside()
        if unsent:
            await self._give_back(unsent)
        self._forget()

    async def _give_back(self, unsent: list[Leased]) -> None:
        held_up = await in_thread(self.thread, self.book.give_back, unsent)
        if held_up is not None:
            self.unsent[: len(unsent)] = held_up

    def _set_aside(self) -> None:
        """Let what has just ended in a workspace that is held up wait with the others there."""
        held_up = {one.row.workspace_id for one in self.aside}
        self.aside += [one for one in self.ended if one.row.workspace_id in held_up]
        self.ended[:] = [one for one in self.ended if one.row.workspace_id not in held_up]

    async def _write_aside(self) -> None:
        """Try one workspace again; where it is still held up, the others have their turn first."""
        its = self.aside[0].row.workspace_id
        self.aside.sort(key=lambda one: one.row.workspace_id != its)  # stable
        group = [one for one in self.aside[:GROUP] if one.row.workspace_id == its]
        held_up = await in_thread(self.thread, self.book.settle_apart, group)
        if held_up is not None:
            del self.aside[: len(group)]
            self._put_off(held_up)

    def _put_off(self, held_up: list[Ended]) -> None:
        if held_up:
            self.aside += held_up
            self._again_at = time.monotonic() + AGAIN

    def _forget(self) -> None:
        """Drop what the database would not take for so long that its lease has gone to others."""
        oldest = time.monotonic() - FORGET
        for those in (self.ended, self.aside):
            those[:] = [one for one in those if one.at > oldest]


async def in_thread(thread: Executor, work: Callable[[A], T | None], what: A) -> T | None:
    """Do the work in the thread; None where the database was away, after a pause."""
    done = await asyncio.get_running_loop().run_in_executor(thread, work, what)
    if done is None:
        await asyncio.sleep(PAUSE)
    return done
