"""The delivery engine in the test's own process: real rows, real requests, no Celery."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import connection

from tasks_app.actions.destination import create_destination
from tasks_app.delivery.beats import Beats
from tasks_app.delivery.due import NEVER, due_in
from tasks_app.delivery.engine import Engine
from tasks_app.delivery.worker import Turn
from tasks_app.models import Delivery, Destination, Event, Workspace
from tests.support.engine_secret import SECRET
from tests.support.factories import cause

__all__ = ["SECRET", "deliver", "engine", "is_due", "make_due", "states", "to", "told"]


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Run an engine that beats, and close it and its connections after."""
    beats = Beats()
    beats.start()
    assert beats.wait_heard(10)
    running = Engine(beats)
    try:
        yield running
    finally:
        running.close()
        beats.stop()


def deliver() -> None:
    """Run one drain until nothing is due."""
    with engine() as running, contextlib.closing(Turn()) as turn:
        running.drain(turn)


def to(of: Workspace, url: str, *, name: str = "", **fields: Any) -> Destination:
    """Return a destination whose secret is SECRET."""
    values = {"name": name or url, "url": url, **fields}
    made, _ = create_destination(workspace_id=of.pk, fields=values, cause=cause(), secret=SECRET)
    return made


def is_due() -> bool:
    """Tell whether a drain would find something to lease."""
    return due_in(ahead=0) < NEVER


def make_due() -> None:
    """Let every retry be due now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery SET next_attempt_at = statement_timestamp() WHERE state = 'pending'"
        )


def states(of: Destination) -> list[str]:
    """Return the states of a destination's deliveries, in the order of their sequence."""
    rows = Delivery.objects.filter(destination=of).order_by("sequence")
    return list(rows.values_list("state", flat=True))


def told(of: Workspace) -> list[str]:
    """Return the types of all events of a workspace but those of destinations' making."""
    types = Event.objects.in_workspace(of.pk).after(0).values_list("type", flat=True)
    return [kind for kind in types if kind != "destination_created"]
