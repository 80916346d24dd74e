"""Rows become tasks: those with a known external id change it, all others are new.

Called inside the transaction of a step; it locks the rows of tasks, takes external ids in their own
order, and leaves the head, which all writers of the workspace share, to the end. A row sets the
columns that it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.db import connection
from django.utils import timezone

from tasks_app.actions.echoed import differ
from tasks_app.actions.task import EDITABLE, URGENT
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.import_progress import import_cause
from tasks_app.events.new_event import NewEvent
from tasks_app.events.record import lock_heads
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import FieldError
from tasks_app.exchange.row import Row
from tasks_app.models import ImportJob, Task, WorkspaceHead

TITLE_NEEDED: Final = FieldError("/title", "required", "This field is required.")


@dataclass(slots=True)
class Applied:
    """What became of rows. ``later`` are the events of tasks that are new, beyond the first."""

    new: dict[str, Task] = field(default_factory=dict)
    known: dict[str, Task] = field(default_factory=dict)
    changed: dict[str, Task] = field(default_factory=dict)
    changed_fields: set[str] = field(default_factory=set)
    events: list[NewEvent] = field(default_factory=list)
    later: list[NewEvent] = field(default_factory=list)
    faults: list[tuple[Row, FieldError]] = field(default_factory=list)
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0


def apply_rows(job: ImportJob, rows: Sequence[Row]) -> Applied:
    """Write what rows ask for, in their order; return it with the events that tell of it.

    Raises IntegrityError where somebody else makes a task with the same external id meanwhile;
    another step then finds it.
    """
    done, cause = Applied(known=_known(job, rows)), import_cause(job)
    for row in rows:
        _apply(job, row, done, cause)
    if not job.dry_run:
        _write(done)
        _number(job, done)
    return done


def _known(job: ImportJob, rows: Sequence[Row]) -> dict[str, Task]:
    """Lock the tasks that rows name, in the order of their ids: two imports don't cross."""
    keys = {row.external_id for row in rows if row.external_id is not None}
    if not keys:
        return {}
    found = Task.objects.in_workspace(job.workspace_id).filter(external_id__in=keys)
    if not job.dry_run:
        found = found.select_for_update(no_key=True, of=("self",))
    return {str(task.external_id): task for task in found.order_by("pk")}


def _apply(job: ImportJob, row: Row, done: Applied, cause: Cause) -> None:
    task = done.known.get(row.external_id) if row.external_id else None
    errors = row.errors or ([] if task or "title" in row.fields else [TITLE_NEEDED])
    if errors:
        done.failed += 1
        done.faults += [(row, error) for error in errors]
    elif task is None:
        done.created += 1
        _create(job, row.fields, done, cause)
    else:
        _change(task, row.fields, done, cause)


def _create(job: ImportJob, fields: Mapping[str, Any], done: Applied, cause: Cause) -> None:
    task = Task(workspace_id=job.workspace_id, created_by=cause.name, **fields)
    task.updated_at = task.created_at
    done.new[str(task.pk)] = task
    if task.external_id:
        done.known[task.external_id] = task
    done.events.append(_event(task, EventType.TASK_CREATED, cause))


def _change(task: Task, fields: Mapping[str, Any], done: Applied, cause: Cause) -> None:
    before = task_snapshot(task)
    for name, value in fields.items():
        setattr(task, name, value)
    after = task_snapshot(task)
    changes = {n: [before[n], after[n]] for n in EDITABLE if differ(before[n], after[n])}
    if not changes:
        done.unchanged += 1
        return
    done.updated += 1
    task.version += 1
    task.updated_at = timezone.now()
    done.events.append(_event(task, EventType.TASK_UPDATED, cause, changes=changes))
    if str(task.pk) in done.new:
        done.later.append(done.events[-1])
    else:
        done.changed[str(task.pk)] = task
        done.changed_fields |= changes.keys()


def _event(task: Task, kind: EventType, cause: Cause, **data: Any) -> NewEvent:
    return NewEvent(
        workspace_id=task.workspace_id,
        type=kind,
        cause=cause,
        task_id=task.pk,
        urgent=task.priority in URGENT,
        data={"task": task_snapshot(task), **data},
    )


def _write(done: Applied) -> None:
    if done.new:
        _insert(sorted(done.new.values(), key=lambda task: task.external_id or ""))
    if done.changed:
        names = [*sorted(done.changed_fields), "version", "updated_at"]
        Task.objects.bulk_update(done.changed.values(), names)


def _number(job: ImportJob, done: Applied) -> None:
    """Tell later events of tasks that are made here the numbers that the log will give them."""
    if not done.later:
        return
    lock_heads([job.workspace_id])
    head = WorkspaceHead.objects.values_list("task_number", flat=True).get(pk=job.workspace_id)
    numbers = {pk: number for number, pk in enumerate(done.new, head + 1)}
    for event in done.later:
        event.data["task"]["number"] = numbers[str(event.task_id)]


def _insert(tasks: Sequence[Task]) -> None:
    """Insert rows as one document: bulk_create() takes ten times as long over its parameters."""
    fields = Task._meta.concrete_fields
    rows = [{one.column: one.value_from_object(task) for one in fields} for task in tasks]
    names = ", ".join(str(one.column) for one in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO task ({names}) SELECT {names}"  # noqa: S608 - columns of ours
            " FROM jsonb_populate_recordset(NULL::task, %s::jsonb)",
            [orjson.dumps(rows).decode()],
        )
