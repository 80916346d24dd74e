"""Outcomes of deliveries as events: the task as it is then, and the delivery.

A task that has been deleted is told of as its own last event told of it.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.new_event import NewEvent
from tasks_app.events.snapshot import (
    delivery_snapshot,
    destination_snapshot,
    task_snapshot,
)
from tasks_app.models import Delivery, Destination, Event, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One delivery, and what is to be told of it."""

    delivery: Delivery
    type: EventType
    cause: Cause


def outcome_events(told: Sequence[Told]) -> list[NewEvent]:
    """Return the events for record_events(); read the tasks now, so lock the heads before.

    What happened to a ping is always ``destination_tested``.
    """
    tasks = _tasks({one.delivery.task_id for one in told} - {None})
    tested = {one.delivery.destination_id for one in told if one.delivery.task_id is None}
    destinations = Destination.objects.in_bulk(list(tested)) if tested else {}
    return [_event(one, tasks, destinations) for one in told]


def _event(
    one: Told,
    tasks: dict[uuid.UUID, dict[str, Any]],
    destinations: dict[uuid.UUID, Destination],
) -> NewEvent:
    data: dict[str, Any] = {"delivery": delivery_snapshot(one.delivery)}
    task_id = one.delivery.task_id
    if task_id is None:
        data["destination"] = destination_snapshot(destinations[one.delivery.destination_id])
    elif task_id in tasks:
        data["task"] = tasks[task_id]
    return NewEvent(
        workspace_id=one.delivery.workspace_id,
        type=one.type if task_id else EventType.DESTINATION_TESTED,
        cause=one.cause,
        task_id=task_id,
        data=data,
    )


def _tasks(ids: Iterable[uuid.UUID | None]) -> dict[uuid.UUID, dict[str, Any]]:
    wanted = [one for one in ids if one is not None]
    found = {one.pk: task_snapshot(one) for one in Task.objects.filter(pk__in=wanted)}
    return found | _as_last_told([one for one in wanted if one not in found])


def _as_last_told(ids: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    if not ids:
        return {}
    last = Event.objects.raw(
        "SELECT e.* FROM unnest(%s::uuid[]) t(id) CROSS JOIN LATERAL ("
        " SELECT * FROM event WHERE task_id = t.id ORDER BY seq DESC LIMIT 1) e",
        [ids],
    )
    return {one.task_id: one.data["task"] for one in last if one.task_id and "task" in one.data}


def deliveries_of(sql: str, parameters: Sequence[Any]) -> list[Delivery]:
    """Return the deliveries that a statement gives back, each as it stands after it."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description or ()]
        return [Delivery(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
