"""Tasks: create, update, delete. Each is one transaction that ends in the log.

The task's row is locked before its event is recorded, so the events of one task are numbered
in the order in which they changed it.
"""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent, Recorded, record_event
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import FieldError, Invalid, NotFound, StaleVersion
from tasks_app.models import Priority, Task

EDITABLE = [
    "external_id",
    "title",
    "description",
    "status",
    "priority",
    "assignee",
    "due_at",
    "labels",
    "metadata",
]
URGENT = {Priority.URGENT, Priority.HIGH}


def create_task(*, workspace_id: uuid.UUID, fields: dict[str, Any], cause: Cause) -> Task:
    """Create a task, its event and its deliveries.

    Raises Invalid where the external id is taken.
    """
    task = Task(workspace_id=workspace_id, created_by=cause.name, **fields)
    task.updated_at = task.created_at
    with _unique_external_id(), transaction.atomic():
        task.save(force_insert=True)
        _record(task, EventType.TASK_CREATED, cause)
    return task


def update_task(
    *,
    workspace_id: uuid.UUID,
    task_id: uuid.UUID,
    fields: dict[str, Any],
    cause: Cause,
    if_version: int | None = None,
) -> Task:
    """Change a task; a change that changes nothing is not an event.

    Raises NotFound, StaleVersion where ``if_version`` is not the task's, and Invalid where
    the external id is taken.
    """
    with _unique_external_id(), transaction.atomic():
        task = locked_task(workspace_id, task_id, if_version)
        before = task_snapshot(task)
        for name, value in fields.items():
            setattr(task, name, value)
        after = task_snapshot(task)
        changes = {n: [before[n], after[n]] for n in EDITABLE if before[n] != after[n]}
        if changes:
            task.version += 1
            task.updated_at = timezone.now()
            task.save(update_fields=[*changes, "version", "updated_at"])
            _record(task, EventType.TASK_UPDATED, cause, changes=changes)
    return task


def delete_task(
    *, workspace_id: uuid.UUID, task_id: uuid.UUID, cause: Cause, if_version: int | None = None
) -> None:
    """Delete a task; its log stays, and its last event tells of the deletion.

    Raises NotFound, and StaleVersion where ``if_version`` is not the task's.
    """
    with transaction.atomic():
        task = locked_task(workspace_id, task_id, if_version)
        Task.objects.filter(pk=task.pk).delete()
        task.version += 1
        task.updated_at = timezone.now()
        _record(task, EventType.TASK_DELETED, cause)


def locked_task(workspace_id: uuid.UUID, task_id: uuid.UUID, if_version: int | None) -> Task:
    """Return the task, its row locked until the transaction ends.

    Raises NotFound, and StaleVersion where ``if_version`` is not the task's.
    """
    tasks = Task.objects.in_workspace(workspace_id).with_sync()
    task = tasks.select_for_update(no_key=True, of=("self",)).filter(pk=task_id).first()
    if task is None:
        raise NotFound
    if if_version is not None and task.version != if_version:
        raise StaleVersion(f"The task is at version {task.version}, not {if_version}.")
    return task


class _unique_external_id:  # noqa: N801 - reads as a statement
    """Turn the database's word on a taken external id into a refusal."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, IntegrityError) and "task_external_id_once" in str(error):
            taken = FieldError("/external_id", "unique", "Another task has this external id.")
            raise Invalid(errors=(taken,)) from error


def _record(task: Task, kind: EventType, cause: Cause, **data: Any) -> Recorded:
    recorded = record_event(
        NewEvent(
            workspace_id=task.workspace_id,
            type=kind,
            cause=cause,
            task_id=task.pk,
            urgent=task.priority in URGENT,
            data={"task": task_snapshot(task), **data},
        )
    )
    task.number = recorded.number or task.number
    task.sync_state = recorded.sync
    return recorded
