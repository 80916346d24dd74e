"""Tasks, changes and outcomes for tests of destinations that want only the newest state."""

from typing import Any

from tasks_app.actions.task import create_task, update_task
from tasks_app.connectors.base import ErrorCode, Outcome, Verdict
from tasks_app.delivery.lease import lease
from tasks_app.delivery.settle import Ended, settle
from tasks_app.models import Delivery, Destination, Event, Task, Workspace
from tests.support.engine import to
from tests.support.factories import cause

NOWHERE = "http://127.0.0.1:9/"
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
FAILED = Outcome(
    verdict=Verdict.FAILED,
    status_code=400,
    error=ErrorCode.HTTP_4XX,
    phases={},
    duration_ms=1.0,
)


def latest(workspace: Workspace, url: str = NOWHERE, **fields: Any) -> Destination:
    """Return a destination of mode latest."""
    return to(workspace, url, mode="latest", **fields)


def make(workspace: Workspace, title: str = "0", **fields: Any) -> Task:
    """Create a task."""
    values = {"title": title, **fields}
    return create_task(workspace_id=workspace.pk, fields=values, cause=cause())


def change(task: Task, title: str, **fields: Any) -> Task:
    """Change a task's title, and what else is given."""
    values = {"title": title, **fields}
    return update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields=values, cause=cause()
    )


def settled(outcome: Outcome, *, worker: str = "w", wanted: int = 9) -> int:
    """Lease what is due and let it end so; return how many that was."""
    return settle([Ended(row, outcome) for row in lease(worker=worker, wanted=wanted)])


def rows(of: Destination) -> list[Delivery]:
    """Return a destination's deliveries by sequence."""
    return list(Delivery.objects.filter(destination=of).order_by("sequence"))


def told_of(workspace: Workspace, kind: str) -> list[Event]:
    """Return the events of one type, in order."""
    return list(Event.objects.in_workspace(workspace.pk).after(0).filter(type=kind))
