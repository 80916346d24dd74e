"""Celery's worker, told by its own signals: children begin to beat, hear bells, and stop in time.

SIGTERM reaches only the parent; its children ignore it. So the parent raises a flag in memory
that they share, and a drain under way finishes what it has sent and leases no more.
"""

import gc
from typing import Any, Final

from celery.signals import (
    task_received,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)

from tasks_app.delivery import beats
from tasks_app.delivery.drain import close_engine
from tasks_app.delivery.worker import turn
from tasks_app.events import wire
from tasks_app.observability.metric_report import report_as

ROLE: Final = "worker"


@worker_process_init.connect  # type: ignore[untyped-decorator]
def begin(**_: Any) -> None:
    """Beat from the first moment of a child, not from its first drain.

    What is loaded by now lives as long as the process: frozen, it is not walked again by each full
    collection of garbage, which held all sending up for 100 ms (measured).
    """
    gc.freeze()
    beats.this_process()
    report_as(ROLE).start()


@task_received.connect  # type: ignore[untyped-decorator]
def hear(request: Any = None, **_: Any) -> None:
    """Leave word with a drain that is under way, also while every child is busy."""
    if request is not None and request.name == wire.DRAIN_TASK:
        turn.leave_word()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop_leasing(**_: Any) -> None:
    """Tell every child."""
    turn.stop()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def end(**_: Any) -> None:
    """Let connections go and leave no row behind, so that nobody waits for our silence."""
    close_engine()
    beats.this_process().stop()
    report_as(ROLE).stop()
    beats.forget()
