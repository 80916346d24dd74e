"""How a workspace stands: its tasks by status and sync, and what waits to be delivered."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count

from tasks_app.models import Status, SyncState, Task, TaskSync


def database_now() -> datetime:
    """Return the time by the clock that due times are set by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def tasks_by_status(workspace_id: uuid.UUID) -> dict[str, int]:
    """Return how many tasks have which status; an index alone answers."""
    rows = Task.objects.in_workspace(workspace_id).values_list("status").order_by()
    return _every(Status.values, rows.annotate(total=Count("*")))


def tasks_by_sync(workspace_id: uuid.UUID) -> dict[str, int]:
    """Return how many tasks have which sync; an index alone answers."""
    rows = TaskSync.objects.filter(workspace_id=workspace_id).values_list("state").order_by()
    return _every(SyncState.values, rows.annotate(total=Count("*")))


def _every(words: Iterable[str], rows: Iterable[Any]) -> dict[str, int]:
    found: Mapping[str, int] = dict(rows)
    return {word: found.get(word, 0) for word in words}
