"""What the children of one Celery worker share: one drain at a time, one flag to stop.

A worker of two children that ran two drains would let the sweep wait behind both. So a drain
takes the worker's turn; a second bell in the same worker only leaves word for the first, which
leases again at once. One process with 100 requests in flight is faster than two that share a
core, and more workers are `WORKERS=2`.

The flags are a page of shared memory and a lock on a nameless file, both made before the fork:
a child that is killed gives its lock back, and the parent, which alone gets SIGTERM, is heard. A
pipe wakes the loop that has the turn; the flag says why, so a byte too many or too few is no harm.
"""

import contextlib
import fcntl
import mmap
import os
import tempfile
import threading
from typing import Protocol

_STOP, _WORD = 0, 1


class Word(Protocol):
    """What a drain is told by its worker."""

    def wakes(self) -> int | None: ...
    def read_word(self) -> bool: ...
    def is_over(self) -> bool: ...


class Turn:
    """Made in the parent before it forks."""

    def __init__(self) -> None:
        self._flags = mmap.mmap(-1, mmap.PAGESIZE)
        with tempfile.TemporaryFile() as nameless:
            self._file = os.dup(nameless.fileno())
        self._wakes, self._wake = os.pipe()
        for end in (self._wakes, self._wake):
            os.set_blocking(end, False)
        self._in_process = threading.Lock()
        self._parent = os.getpid()

    def take(self) -> bool:
        """Take the turn, unless another child or thread has it."""
        if not self._in_process.acquire(blocking=False):
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._in_process.release()
            return False
        return True

    def is_elsewhere(self) -> bool:
        """Tell whether another process has the turn, if anybody has it."""
        return not self._in_process.locked()

    def leave(self) -> None:
        """Give the turn back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._in_process.release()

    def leave_word(self) -> None:
        """Tell whoever has the turn that there may be more to lease."""
        self._flags[_WORD] = 1
        with contextlib.suppress(BlockingIOError):  # full: it wakes already
            os.write(self._wake, b"!")

    def wakes(self) -> int:
        """Return the file that is readable when word was left, until it is read."""
        return self._wakes

    def has_word(self) -> bool:
        """Tell whether word was left."""
        return bool(self._flags[_WORD])

    def read_word(self) -> bool:
        """Take the word away; called before leasing, so that none is lost."""
        with contextlib.suppress(BlockingIOError):  # nothing there
            os.read(self._wakes, mmap.PAGESIZE)
        had = self.has_word()
        self._flags[_WORD] = 0
        return had

    def stop(self) -> None:
        """Tell every child to lease no more."""
        self._flags[_STOP] = 1

    def is_over(self) -> bool:
        """Tell whether to lease no more: the worker was told to stop, or its parent is gone."""
        orphaned = os.getpid() != self._parent and os.getppid() != self._parent
        return bool(self._flags[_STOP]) or orphaned

    def close(self) -> None:
        """Give file and memory back; the worker's own turn lives as long as the process."""
        os.close(self._file)
        os.close(self._wakes)
        os.close(self._wake)
        self._flags.close()


turn = Turn()
