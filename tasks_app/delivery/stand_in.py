"""A drain beside one that does not answer: for a while at a time, and with the sweep's work.

Of a worker's two children one hangs and the other drains now, so nobody else may be there to give
back what the first one holds. Imports and schedules have their turn in between.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Final

from django.db import Error, connection

from tasks_app.delivery.sweep import sweep
from tasks_app.delivery.worker import Turn

logger = logging.getLogger(__name__)

LASTS: Final = 5.0  # seconds of leasing; what is sent then is waited for
SWEEP_EVERY = 1.0  # seconds, as beat rings


class StandIn:
    """What such a drain is told."""

    def __init__(self, turn: Turn, *, seconds: float = LASTS) -> None:
        self._turn = turn
        self._ends = time.monotonic() + seconds

    def wakes(self) -> None:
        """Return nothing: the pipe is for whoever has the turn."""

    def read_word(self) -> bool:
        """Take the word that the other does not read, for as long as there is time to heed it."""
        return not self.is_over() and self._turn.read_word()

    def is_over(self) -> bool:
        """Tell whether the time has passed, or the worker's."""
        return time.monotonic() >= self._ends or self._turn.is_over()


@contextlib.contextmanager
def sweeping() -> Iterator[None]:
    """Sweep in a thread for as long as the block runs."""
    over = threading.Event()
    thread = threading.Thread(target=_sweep_until, args=(over,), name="sweeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sweep_until(over: threading.Event) -> None:
    while not over.wait(SWEEP_EVERY):
        try:
            sweep()
        except Error:
            logger.warning("sweep_failed", exc_info=True)
    connection.close()
