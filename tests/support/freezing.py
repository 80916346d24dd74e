"""A real worker that stops for good at one point of the road, to be killed there with -9.

``python -m tests.support.freezing POINT FILE worker …`` runs Celery's worker. The child that comes
to the point writes its pid into FILE and does nothing more; the others live on. The point lies
right before or right after the real call.
"""

import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from celery.__main__ import main

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


POINTS = {"claimed": _after_claiming, "answered": _after_the_answer}


def _stop_at(point: str, reached: Path) -> None:
    def stop() -> None:
        reached.touch()
        while True:
            signal.pause()

    POINTS[point](stop)


if __name__ == "__main__":
    point, path = sys.argv[1:3]
    sys.argv[1:3] = []
    django.setup()
    _stop_at(point, Path(path))
    sys.exit(main())
