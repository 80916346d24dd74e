"""Many changes of tasks, judged one after the other as if each had been a request of its own.

Nothing is written here: the tasks are locked rows in memory, and what becomes of them is kept in
the order in which it happened.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils import timezone

from tasks_app.actions.echoed import refuse_changed
from tasks_app.actions.task import EXTERNAL_ID_TAKEN, alter, check_version, task_event
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import FieldError, Invalid, Refusal, StaleVersion
from tasks_app.models import Task


class Op(StrEnum):
    """What is done to a task."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change. A task that exists is named by its id, or else by its external id."""

    op: Op
    fields: Mapping[str, Any] = field(default_factory=dict)
    task_id: uuid.UUID | None = None
    external_id: str | None = None
    if_version: int | None = None
    echoed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation came to; without an event where it changed nothing."""

    op: Op
    task: Task
    shown: dict[str, Any]
    event: NewEvent | None = None


@dataclass(slots=True)
class Plan:
    """The tasks as they are after the operations so far."""

    workspace_id: uuid.UUID
    cause: Cause
    tasks: dict[uuid.UUID, Task]
    named: dict[str, Task] = field(default_factory=dict)
    created: dict[uuid.UUID, Task] = field(default_factory=dict)
    changed: dict[uuid.UUID, Task] = field(default_factory=dict)
    deleted: dict[uuid.UUID, Task] = field(default_factory=dict)
    #: Rows whose external id in the database is another now.
    renamed: set[uuid.UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        named = {task.external_id: task for task in self.tasks.values()}
        self.named = {name: task for name, task in named.items() if name is not None}

    def carry_out(self, operations: Iterable[Operation]) -> list[Done]:
        """Apply all; raises Invalid, or StaleVersion where it is only versions, with all errors."""
        done, refused = [], []
        for index, operation in enumerate(operations):
            try:
                done.append(self._apply(operation))
            except Refusal as error:
                refused.append((type(error), _placed(error, f"/operations/{index}")))
        if refused:
            stale = all(kind is StaleVersion for kind, _ in refused)
            errors = tuple(one for _, several in refused for one in several)
            raise (StaleVersion if stale else Invalid)(errors=errors)
        return done

    def _apply(self, operation: Operation) -> Done:
        match operation.op:
            case Op.CREATE:
                return self._create(operation)
            case Op.UPDATE:
                return self._update(operation)
            case Op.DELETE:
                return self._delete(operation)

    def _create(self, operation: Operation) -> Done:
        name = operation.fields.get("external_id")
        self._refuse_taken(name)
        task = Task(workspace_id=self.workspace_id, created_by=self.cause.name, **operation.fields)
        task.updated_at = task.created_at
        task.sync_state = None
        self.tasks[task.pk] = self.created[task.pk] = task
        self._rename(task, None, name)
        return self._told(Op.CREATE, task, EventType.TASK_CREATED)

    def _update(self, operation: Operation) -> Done:
        task = self._found(operation)
        old = task.external_id
        name = operation.fields.get("external_id", old)
        if name != old:
            self._refuse_taken(name)
        changes = alter(task, operation.fields, echoed=operation.echoed)
        if not changes:
            return Done(Op.UPDATE, task, task_snapshot(task))
        self._rename(task, old, name)
        if task.pk not in self.created:
            self.changed[task.pk] = task
        return self._told(Op.UPDATE, task, EventType.TASK_UPDATED, changes=changes)

    def _delete(self, operation: Operation) -> Done:
        task = self._found(operation)
        refuse_changed(task_snapshot(task), operation.echoed)
        self._rename(task, task.external_id, None)
        del self.tasks[task.pk]
        self.changed.pop(task.pk, None)
        if self.created.pop(task.pk, None) is None:
            self.deleted[task.pk] = task
        task.version += 1
        task.updated_at = timezone.now()
        return self._told(Op.DELETE, task, EventType.TASK_DELETED)

    def _found(self, operation: Operation) -> Task:
        if operation.task_id is not None:
            task, pointer = self.tasks.get(operation.task_id), "/id"
        else:
            task, pointer = self.named.get(operation.external_id or ""), "/external_id"
        if task is None:
            detail = "There is no such task in this workspace."
            raise Invalid(errors=(FieldError(pointer, "not_found", detail),))
        check_version(task, operation.if_version)
        return task

    def _refuse_taken(self, name: str | None) -> None:
        if name in self.named:
            _, pointer, detail = EXTERNAL_ID_TAKEN
            raise Invalid(errors=(FieldError(pointer, "unique", detail),))

    def _rename(self, task: Task, old: str | None, new: str | None) -> None:
        if old == new:
            return
        if old is not None:
            del self.named[old]
        if new is not None:
            self.named[new] = task
        if task.pk not in self.created:
            self.renamed.add(task.pk)

    def _told(self, op: Op, task: Task, kind: EventType, **data: Any) -> Done:
        event = task_event(task, kind, self.cause, **data)
        return Done(op, task, event.data["task"], event)


def _placed(error: Refusal, place: str) -> tuple[FieldError, ...]:
    """Return the errors of an operation, each with its place in the body."""
    if isinstance(error, StaleVersion):
        return (FieldError(f"{place}/if_version", error.code, error.detail),)
    return tuple(FieldError(place + e.pointer, e.code, e.detail) for e in error.errors)
