"""A real worker that stops at one point of the road: to be killed there with -9, or to go on late.

``python -m tests.support.freezing POINT FILE worker …`` runs Celery's worker. The child that first
comes to the point writes its pid into FILE and does nothing more; the others live on. At a point
of SLEEPS the whole child is stopped, its threads too, until somebody sends SIGCONT. The point lies
right before or right after the real call.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from celery.__main__ import main

from tasks_app.connectors.http.vetted import TimedRequest

LEDGER = "tasks_app.delivery.ledger"  # imported once Django is ready


def _after_claiming(stop: Callable[[], None]) -> None:
    """A lease has been committed; nothing has been sent."""
    ledger = importlib.import_module(LEDGER)
    real = ledger.lease

    def lease(**options: Any) -> Any:
        rows = real(**options)
        if rows:
            stop()
        return rows

    vars(ledger)["lease"] = lease


def _after_the_answer(stop: Callable[[], None]) -> None:
    """The answer has been read; nothing of it has been written down."""
    ledger = importlib.import_module(LEDGER)
    real = ledger.settle

    def settle(group: Any) -> Any:
        stop()
        return real(group)

    vars(ledger)["settle"] = settle


def _before_the_bytes(stop: Callable[[], None]) -> None:
    """Everything is ready, the connection too; the next thing is to write."""
    real = TimedRequest.write_bytes

    async def write_bytes(self: TimedRequest, *arguments: Any) -> None:
        stop()
        await real(self, *arguments)

    type.__setattr__(TimedRequest, "write_bytes", write_bytes)


SLEEPS = {"sending"}
POINTS = {"sending": _before_the_bytes, "claimed": _after_claiming, "answered": _after_the_answer}


def _stop_at(point: str, reached: Path) -> None:
    def stop() -> None:
        if point in SLEEPS and reached.exists():
            return
        reached.write_text(str(os.getpid()))
        if point in SLEEPS:
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        while True:
            signal.pause()

    POINTS[point](stop)


if __name__ == "__main__":
    point, path = sys.argv[1:3]
    sys.argv[1:3] = []
    django.setup()
    _stop_at(point, Path(path))
    sys.exit(main())
