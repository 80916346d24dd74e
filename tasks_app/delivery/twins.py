"""What leases and settles know of twins: a few statements a batch, none of them in the loop.

Only one delivery of a task and a destination is ever leased, so nobody else touches its twin in
the meantime; a settle writes only what its claims still allow. Lock order: deliveries → twins.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.db import connection

from tasks_app.connectors.base import Twin, TwinNote
from tasks_app.connectors.registry import mirrors
from tasks_app.connectors.twin import creation_key
from tasks_app.delivery.leased import Leased
from tasks_app.events.catalogue import EventType
from tasks_app.events.snapshot import task_snapshot
from tasks_app.models import Task

Pair = tuple[uuid.UUID, uuid.UUID]
READ = """
    SELECT t.destination_id, t.task_id, t.remote_id, t.version, t.generation, t.tries, t.first
    FROM unnest(%s::uuid[], %s::uuid[]) p(destination, task)
    JOIN twin t ON t.destination_id = p.destination AND t.task_id = p.task
"""
BEGIN = """
    INSERT INTO twin AS t (id, destination_id, task_id, remote_id, version, generation, tries,
        first, updated_at)
    SELECT aftercommit_uuid7(), i.destination, i.task, '', 0, 0, 0, i.first, statement_timestamp()
    FROM jsonb_to_recordset(%s::jsonb) i(destination uuid, task uuid, first text)
    ON CONFLICT (destination_id, task_id) DO UPDATE
    SET first = CASE WHEN t.first = '' THEN excluded.first ELSE t.first END,
        tries = CASE WHEN t.first = '' THEN 0 ELSE t.tries + 1 END,
        updated_at = statement_timestamp()
    RETURNING destination_id, task_id, remote_id, version, generation, tries, first
"""
TRY_AGAIN = """
    UPDATE twin t SET tries = t.tries + 1, updated_at = statement_timestamp()
    FROM unnest(%s::uuid[], %s::uuid[]) p(destination, task)
    WHERE t.destination_id = p.destination AND t.task_id = p.task
    RETURNING t.destination_id, t.task_id, t.remote_id, t.version, t.generation, t.tries, t.first
"""
WRITE = """
    WITH item AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%s::jsonb)
            i(destination uuid, task uuid, remote_id text, version integer, over boolean)
    ), gone AS (
        DELETE FROM twin t USING item i
        WHERE i.over AND t.destination_id = i.destination AND t.task_id = i.task
    )
    UPDATE twin t SET remote_id = i.remote_id, version = i.version, first = '', tries = 0,
        generation = t.generation + (i.remote_id = '')::integer, updated_at = statement_timestamp()
    FROM item i
    WHERE NOT i.over AND t.destination_id = i.destination AND t.task_id = i.task
"""


@dataclass(frozen=True, slots=True)
class _Row:
    destination_id: uuid.UUID
    task_id: uuid.UUID
    remote_id: str = ""
    version: int = 0
    generation: int = 0
    tries: int = 0
    first: str = ""


def with_twins(rows: Sequence[Leased]) -> list[Leased]:
    """Give each delivery to a mirror its twin and the task as it is now; call it when leased.

    A twin that is about to be created is written down first, with what will be sent: whoever comes
    after a crash knows that the request may have left, and under which key.
    """
    pairs = {
        (row.destination_id, row.task_id): row
        for row in rows
        if row.task_id is not None and mirrors(row.destination.kind)
    }
    if not pairs:
        return list(rows)
    tasks = _tasks({task for _, task in pairs})
    known = _read(list(pairs))
    known |= _begin(
        {
            pair: {**row.wire(), "task": tasks[pair[1]]}
            for pair, row in pairs.items()
            if pair[1] in tasks and not (pair in known and known[pair].remote_id)
        }
    )
    known |= _try_again(
        [
            pair
            for pair, row in pairs.items()
            if row.event_type == EventType.TASK_DELETED and pair in known and known[pair].first
        ]
    )
    twins = {pair: _twin(known.get(pair) or _Row(*pair), tasks.get(pair[1])) for pair in pairs}
    return [
        replace(row, twin=twins[row.destination_id, row.task_id])
        if row.task_id is not None and (row.destination_id, row.task_id) in twins
        else row
        for row in rows
    ]


def write_twins(notes: Iterable[tuple[Leased, TwinNote]]) -> None:
    """Write down what settled attempts learnt.

    A twin without an id is gone, and its key is spent; a deleted task has nothing to be kept.
    """
    items = [
        {
            "destination": row.destination_id,
            "task": row.task_id,
            "remote_id": note.remote_id,
            "version": note.version,
            "over": row.event_type == EventType.TASK_DELETED and not note.remote_id,
        }
        for row, note in notes
    ]
    if not items:
        return
    with connection.cursor() as cursor:
        cursor.execute(WRITE, [orjson.dumps(items).decode()])


def _tasks(ids: set[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    return {one.pk: task_snapshot(one) for one in Task.objects.filter(pk__in=ids)}


def _twin(row: _Row, task: dict[str, Any] | None) -> Twin:
    key = creation_key(
        destination=str(row.destination_id), task=str(row.task_id), generation=row.generation
    )
    return Twin(
        remote_id=row.remote_id,
        version=row.version,
        key=key,
        tries=row.tries,
        first=orjson.loads(row.first) if row.first else {},
        task=task,
    )


def _read(pairs: list[Pair]) -> dict[Pair, _Row]:
    return _rows(READ, _columns(pairs))


def _begin(stories: dict[Pair, dict[str, Any]]) -> dict[Pair, _Row]:
    """Note that these are about to be created, or are so once more."""
    items = [
        {"destination": destination, "task": task, "first": orjson.dumps(story).decode()}
        for (destination, task), story in stories.items()
    ]
    return _rows(BEGIN, [orjson.dumps(items).decode()]) if items else {}


def _try_again(pairs: list[Pair]) -> dict[Pair, _Row]:
    """Count one more try at what may be there, for a task that is deleted."""
    return _rows(TRY_AGAIN, _columns(pairs)) if pairs else {}


def _columns(pairs: list[Pair]) -> list[list[uuid.UUID]]:
    return [[destination for destination, _ in pairs], [task for _, task in pairs]]


def _rows(sql: str, parameters: Sequence[Any]) -> dict[Pair, _Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = [_Row(*row) for row in cursor.fetchall()]
    return {(row.destination_id, row.task_id): row for row in rows}
