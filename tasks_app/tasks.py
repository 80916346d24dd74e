"""Celery's entry points. A message is a doorbell and carries no cargo."""

from typing import Final

from celery import shared_task

from tasks_app.delivery import lifecycle
from tasks_app.delivery.drain import drain as drain_now
from tasks_app.delivery.rest import Rest
from tasks_app.delivery.sweep import sweep as sweep_now
from tasks_app.events import wire
from tasks_app.exchange.walk import import_some
from tasks_app.recurring import make_scheduled

__all__ = ["drain", "lifecycle", "run_imports", "run_schedules", "sweep"]
_rest = Rest(0.5)  # seconds; beat rings every one
_schedules_rest = Rest(0.5)
_imports_rest = Rest(0.5)
STUCK: Final = 120  # seconds of one ring, which takes one: a row keeps a child busy for ever


@shared_task(name=wire.DRAIN_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def drain() -> None:
    """Deliver all that is due."""
    drain_now()


@shared_task(name=wire.SWEEP_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Find what was lost, and ring."""
    if _rest.is_over():
        sweep_now()


@shared_task(name=wire.IMPORTS_TASK, ignore_result=True, time_limit=STUCK)  # type: ignore[untyped-decorator]
def run_imports() -> None:
    """Take rows of the files that have come in."""
    if _imports_rest.is_over():
        import_some()
        _imports_rest.begin()


@shared_task(name=wire.SCHEDULES_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def run_schedules() -> None:
    """Make tasks of the schedules that are due."""
    if _schedules_rest.is_over():
        make_scheduled()
