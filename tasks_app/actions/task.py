"""Tasks: create, update, delete. Each is one transaction that ends in the log.

The task's row is locked before its event is recorded, so the events of one task are numbered
in the order in which they changed it.
"""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from tasks_app.actions.echoed import NOTHING, differ, refuse_changed
from tasks_app.actions.taken import refused_where_taken
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent, Recorded, record_event
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import NotFound, StaleVersion
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
Versions = int | Collection[int] | None
Changes = dict[str, list[Any]]

EXTERNAL_ID_TAKEN = (
    "task_external_id_once",
    "/external_id",
    "Another task has this external id.",
)


def create_task(*, workspace_id: uuid.UUID, fields: dict[str, Any], cause: Cause) -> Task:
    """Create a task, its event and its deliveries.

    Raises Invalid where the external id is taken.
    """
    task = Task(workspace_id=workspace_id, created_by=cause.name, **fields)
    task.updated_at = task.created_at
    with refused_where_taken(*EXTERNAL_ID_TAKEN), transaction.atomic():
        task.save(force_insert=True)
        _record(task, EventType.TASK_CREATED, cause)
    return task


def update_task(
    *,
    workspace_id: uuid.UUID,
    task_id: uuid.UUID,
    fields: Mapping[str, Any],
    cause: Cause,
    if_version: Versions = None,
    echoed: Mapping[str, Any] = NOTHING,
) -> Task:
    """Change a task; a change that changes nothing is not an event.

    ``echoed`` holds read-only fields that the caller sent back; they are compared while the row
    is locked, so a client that repeats the version it has seen overwrites nothing newer.

    Raises NotFound, StaleVersion where ``if_version`` names other versions than the task's,
    and Invalid where the external id is taken or an echoed field differs.
    """
    with refused_where_taken(*EXTERNAL_ID_TAKEN), transaction.atomic():
        task = locked_task(workspace_id, if_version, pk=task_id)
        save_altered(task, alter(task, fields, echoed=echoed), cause)
    return task


def delete_task(
    *, workspace_id: uuid.UUID, task_id: uuid.UUID, cause: Cause, if_version: Versions = None
) -> None:
    """Delete a task; its log stays, and its last event tells of the deletion.

    Raises NotFound, and StaleVersion where ``if_version`` names other versions than the task's.
    """
    with transaction.atomic():
        remove(locked_task(workspace_id, if_version, pk=task_id), cause)


def locked_task(workspace_id: uuid.UUID, if_version: Versions, **which: Any) -> Task:
    """Return the task, its row locked until the transaction ends.

    Raises NotFound, and StaleVersion where ``if_version`` names other versions than the task's.
    """
    tasks = Task.objects.in_workspace(workspace_id).with_sync()
    task = tasks.select_for_update(no_key=True, of=("self",)).filter(**which).first()
    if task is None:
        raise NotFound
    check_version(task, if_version)
    return task


def check_version(task: Task, if_version: Versions) -> None:
    """Raise StaleVersion where ``if_version`` names other versions than the task's."""
    wanted = {if_version} if isinstance(if_version, int) else if_version
    if wanted is not None and task.version not in wanted:
        raise StaleVersion(f"The task is at version {task.version}, which is not the one named.")


def alter(task: Task, fields: Mapping[str, Any], *, echoed: Mapping[str, Any] = NOTHING) -> Changes:
    """Set fields of a task whose row is locked and return what that changes; nothing is saved.

    Raises Invalid where an echoed field differs.
    """
    before = task_snapshot(task)
    refuse_changed(before, echoed)
    for name, value in fields.items():
        setattr(task, name, value)
    after = task_snapshot(task)
    changes = {n: [before[n], after[n]] for n in EDITABLE if differ(before[n], after[n])}
    if changes:
        task.version += 1
        task.updated_at = timezone.now()
    return changes


def save_altered(task: Task, changes: Changes, cause: Cause) -> None:
    """Save what ``alter`` has changed, with its event; nothing where that is nothing."""
    if changes:
        task.save(update_fields=[*changes, "version", "updated_at"])
        _record(task, EventType.TASK_UPDATED, cause, changes=changes)


def remove(task: Task, cause: Cause) -> None:
    """Delete a task whose row is locked, with its event."""
    Task.objects.filter(pk=task.pk).delete()
    task.version += 1
    task.updated_at = timezone.now()
    _record(task, EventType.TASK_DELETED, cause)


def task_event(task: Task, kind: EventType, cause: Cause, **data: Any) -> NewEvent:
    """Return the event that tells of a task as it is now."""
    return NewEvent(
        workspace_id=task.workspace_id,
        type=kind,
        cause=cause,
        task_id=task.pk,
        urgent=task.priority in URGENT,
        data={"task": task_snapshot(task), **data},
    )


def _record(task: Task, kind: EventType, cause: Cause, **data: Any) -> Recorded:
    recorded = record_event(task_event(task, kind, cause, **data))
    task.number = recorded.number or task.number
    task.sync_state = recorded.sync
    return recorded
