"""Many changes of tasks in one transaction, all or nothing, in a handful of statements.

Locks are taken in one order: the workspace's bulk lock, then the rows that exist by their ids, then
external ids, then the head. Two bulks that take the same external ids in turn would each wait for
the other at the unique index; so of one workspace one bulk writes at a time. A single request holds
at most one row and one external id before it asks for the head, so it can't close a circle. A step
of an import can, by new external ids; it is the one that gives way, after a quarter of a second.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

import orjson
from django.db import OperationalError, connection, transaction
from django.db.models import Q

from tasks_app.actions.bulk_plan import Done, Op, Operation, Plan
from tasks_app.actions.taken import Taken, refused_where_taken
from tasks_app.actions.task import EXTERNAL_ID_TAKEN
from tasks_app.events.cause import Cause
from tasks_app.events.record import lock_heads, record_events
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import TooLarge, TooManyBulks
from tasks_app.models import Task, WorkspaceHead

OPERATIONS_MAX: Final = 1000
#: What all operations come to as JSON. A short one may tell of a long task, and what is written,
#: answered and kept for a repeat is written with the head held, for which all others wait.
OUTCOME_BYTES: Final = 8 * 1024 * 1024
PATIENCE: Final = 500  # ms that one bulk waits for another; each waits in a thread of the api
LOCK_NOT_AVAILABLE: Final = "55P03"
TRIES: Final = 3

# Rows as one document: with a parameter for each value, reading the statement takes longer than
# the rest of the request.
_ROWS: Final = """
    jsonb_to_recordset(%s::jsonb) AS i(
        id uuid, external_id text, title text, description text, status text, priority text,
        assignee text, due_at timestamptz, labels text[], metadata jsonb, version integer,
        created_by text, created_at timestamptz, updated_at timestamptz)
"""
_UPDATE: Final = f"""
    UPDATE task t
    SET external_id = i.external_id, title = i.title, description = i.description,
        status = i.status, priority = i.priority, assignee = i.assignee, due_at = i.due_at,
        labels = i.labels, metadata = i.metadata, version = i.version, updated_at = i.updated_at
    FROM {_ROWS} WHERE t.id = i.id AND t.workspace_id = %s
"""  # noqa: S608 - a constant
_INSERT: Final = f"""
    INSERT INTO task (
        id, workspace_id, external_id, title, description, status, priority, assignee, due_at,
        labels, metadata, version, created_by, created_at, updated_at)
    SELECT i.id, w.id, i.external_id, i.title, i.description, i.status, i.priority, i.assignee,
        i.due_at, i.labels, i.metadata, i.version, i.created_by, i.created_at, i.updated_at
    FROM {_ROWS}, (SELECT %s::uuid AS id) w
"""  # noqa: S608


def change_tasks(
    *, workspace_id: uuid.UUID, operations: Sequence[Operation], cause: Cause
) -> list[Done]:
    """Carry out operations in their order; return what each came to.

    Raises Invalid, its pointers naming operations, StaleVersion where only versions are wrong,
    TooLarge where it all comes to more than 8 MiB, and TooManyBulks where another is not done
    within half a second; then nothing is written.
    """
    with transaction.atomic():
        _alone(workspace_id)
        for left in reversed(range(TRIES)):
            try:
                with refused_where_taken(*EXTERNAL_ID_TAKEN), transaction.atomic():
                    return _carried_out(workspace_id, operations, cause)
            except Taken:  # by a single request since we looked: now it can be told by whom
                if not left:
                    raise
    raise AssertionError("unreachable")


def _alone(workspace_id: uuid.UUID) -> None:
    """Wait, but not for long, until no other bulk of the workspace writes."""
    digest = hashlib.sha256(f"bulk {workspace_id}".encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(PATIENCE)])
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") == LOCK_NOT_AVAILABLE:
                raise TooManyBulks from error
            raise
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


def _carried_out(
    workspace_id: uuid.UUID, operations: Sequence[Operation], cause: Cause
) -> list[Done]:
    tasks = {task.pk: task for task in _locked(workspace_id, operations)}
    plan = Plan(workspace_id=workspace_id, cause=cause, tasks=tasks)
    done = plan.carry_out(operations)
    _refuse_too_much(done)
    _write(plan)
    _number(workspace_id, done)
    _record(done)
    return done


def _refuse_too_much(done: Iterable[Done]) -> None:
    size = 0
    for one in done:
        size += len(orjson.dumps(one.shown if one.event is None else one.event.data))
        if size > OUTCOME_BYTES:
            raise TooLarge(f"These operations come to more than {OUTCOME_BYTES:,} bytes of tasks.")


def _locked(workspace_id: uuid.UUID, operations: Iterable[Operation]) -> Iterable[Task]:
    """Lock, in the order of their ids, the tasks that are named and those whose name is wanted."""
    ids, names = set(), set()
    for one in operations:
        ids.add(one.task_id)
        names |= {one.external_id, one.fields.get("external_id")}
    which = Q(pk__in=ids - {None}) | Q(external_id__in=names - {None})
    tasks = Task.objects.in_workspace(workspace_id).with_sync().filter(which).order_by("pk")
    return tasks.select_for_update(no_key=True, of=("self",))


def _write(plan: Plan) -> None:
    """Write what the tasks have become; names are given up before they are taken."""
    if plan.deleted:
        Task.objects.filter(pk__in=plan.deleted.keys()).delete()
    if plan.renamed:
        Task.objects.filter(pk__in=plan.renamed).update(external_id=None)
    for statement, tasks in ((_UPDATE, plan.changed), (_INSERT, plan.created)):
        if tasks:
            rows = orjson.dumps([task_snapshot(task) for task in tasks.values()]).decode()
            with connection.cursor() as cursor:
                cursor.execute(statement, [rows, plan.workspace_id])


def _number(workspace_id: uuid.UUID, done: Iterable[Done]) -> None:
    """Tell later events of tasks that are made here the numbers that the log will give them."""
    new = {one.task.pk for one in done if one.op is Op.CREATE}
    later = [one for one in done if one.op is not Op.CREATE and one.task.pk in new]
    if not later:
        return
    lock_heads([workspace_id])
    number = WorkspaceHead.objects.values_list("task_number", flat=True).get(pk=workspace_id)
    for one in done:
        if one.op is Op.CREATE:
            number += 1
            one.task.number = number
    for one in later:
        one.shown["number"] = one.task.number


def _record(done: Iterable[Done]) -> None:
    told = [one for one in done if one.event is not None]
    recorded = record_events([one.event for one in told if one.event is not None])
    for one, row in zip(told, recorded, strict=True):
        if one.op is Op.CREATE:
            if one.task.number not in {None, row.number}:
                raise RuntimeError("The log numbers tasks otherwise than was foretold.")
            one.task.number = one.shown["number"] = row.number
        one.task.sync_state = row.sync
    for one in done:
        one.shown["sync"] = one.task.sync_state
