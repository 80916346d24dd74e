"""A worker's sign of life: one row, beaten every DELIVERY_WORKER_BEAT seconds by a thread.

The sweep takes over the leases of a worker silent for DELIVERY_WORKER_SILENCE. So a worker may
start a send only while no two beats since its lease lay further apart than that:
`is_heard_since()`. A process that was stopped and goes on later gives back what it has not begun
to send.
"""

import logging
import os
import secrets
import socket
import threading
import time
from functools import cache

from django.conf import settings
from django.db import Error, connection

logger = logging.getLogger(__name__)

#: Seconds before the silence that counts as death in which nothing new is begun.
CAUTION = 1.0


class Beats:
    """The beats of one process; ``name`` is what its leases are signed with."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.pid = os.getpid()
        self._last = self._unbroken_since = float("-inf")
        self._first = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and take the row away, so that what is left is taken over at once."""
        self._stop.set()
        self._thread.join(settings.DELIVERY_WORKER_BEAT)

    def wait_heard(self, seconds: float) -> bool:
        """Wait for the first beat to be written; tell whether this worker is heard."""
        self._first.wait(seconds)
        return self.is_heard()

    def is_heard(self) -> bool:
        """Tell whether nobody can have taken this worker for dead."""
        return not self._is_late(time.monotonic())

    def is_heard_since(self, moment: float) -> bool:
        """Tell the same of the whole time since a moment of this process's monotonic clock.

        A process that was stopped and goes on may beat before it does anything else: it is heard
        again, but what it leased before has gone to others.
        """
        return self.is_heard() and self._unbroken_since <= moment

    def _is_late(self, now: float) -> bool:
        silence: float = settings.DELIVERY_WORKER_SILENCE
        return now - self._last >= silence - CAUTION

    def _run(self) -> None:
        while not self._stop.wait(self._beat()):
            pass
        self._leave()

    def _beat(self) -> float:
        """Write one beat; return the seconds until the next, fewer after a failure."""
        began = time.monotonic()  # before the row's own time: never believed too long
        try:
            beat(self.name, "worker")
        except Error:
            logger.warning("beat_failed", exc_info=True)
            connection.close()
            return 0.25
        if self._is_late(began):
            self._unbroken_since = began
        self._last = began
        self._first.set()
        return float(settings.DELIVERY_WORKER_BEAT)

    def _leave(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM process_beat WHERE name = %s", [self.name])
        except Error:
            logger.debug("beat_left_behind", exc_info=True)
        finally:
            connection.close()


def beat(name: str, kind: str) -> None:
    """Write one sign of life, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO process_beat AS b (name, kind, started_at, seen_at)"
            " VALUES (%s, %s, statement_timestamp(), statement_timestamp())"
            " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
            [name, kind],
        )


@cache
def _of(_pid: int) -> Beats:
    """Return the beats of one process; a fork has another pid, so it begins its own."""
    beats = Beats()
    beats.start()
    return beats


def this_process() -> Beats:
    """Return this process's beats, begun where they were not yet."""
    return _of(os.getpid())


def forget() -> None:
    """Let the next drain in this process begin beats of its own; the last were stopped."""
    _of.cache_clear()
