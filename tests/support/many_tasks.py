"""Many tasks at once, straight into the table: for what reads them, not for what makes them."""

from typing import Any

from django.db import connection

from tasks_app.models import Workspace

MAKE = """
    WITH made AS (
        INSERT INTO task (id, workspace_id, number, title, description, status, priority,
            assignee, labels, metadata, version, created_by, created_at, updated_at)
        SELECT aftercommit_uuid7(), %(workspace)s, %(last)s + n, 'task ' || n,
            repeat('x', %(size)s), 'open', 'normal', '', ARRAY['a', 'b'], '{"n": 1}', 1, 'alice',
            statement_timestamp(), statement_timestamp()
        FROM generate_series(1, %(count)s) n)
    UPDATE workspace_head SET task_number = task_number + %(count)s
    WHERE workspace_id = %(workspace)s
"""


def make_tasks(of: Workspace, count: int, *, size: int = 100, after: int = 0) -> None:
    """Make so many tasks with a description of ``size`` characters; ``after`` this number."""
    with connection.cursor() as cursor:
        for at in range(0, count, 50_000):
            values: dict[str, Any] = {
                "workspace": of.pk,
                "last": after + at,
                "count": min(50_000, count - at),
                "size": size,
            }
            cursor.execute(MAKE, values)
        cursor.execute("ANALYZE task")
