"""Clearing up: files once their imports are over, uploads that broke off, imports of long ago."""

import time
from typing import Final

from django.db import connection, transaction

SELDOM: Final = 60.0  # seconds between two looks for what is old
PARTS: Final = 40  # of files in one statement: 10 MiB
JOBS: Final = 20

# The parts of what is over; a file that is still wanted is never among them.
FILES: Final = """
    DELETE FROM import_chunk WHERE id = ANY(ARRAY(
        SELECT c.id FROM import_job j JOIN import_chunk c ON c.job_id = j.id
        WHERE j.ended_at > statement_timestamp() - interval '1 day'
        LIMIT %s FOR UPDATE OF c SKIP LOCKED))
"""
# Whoever sends a file writes a part of it every minute, or is cut off.
BROKEN: Final = """
    state = 'receiving' AND told_at < statement_timestamp() - interval '15 minutes'
"""
OLD: Final = "ended_at < statement_timestamp() - interval '30 days'"

_last = [float("-inf")]


def forget_files() -> int:
    """Delete a batch of parts that nobody needs; seldom, imports of old. Return how many parts."""
    parts = _execute(FILES, PARTS)
    if time.monotonic() - _last[0] >= SELDOM:
        _last[0] = time.monotonic()
        forget_the_old()
    return parts


def forget_the_old() -> int:
    """Delete uploads that broke off, and imports that ended 30 days ago; return how many."""
    return _forget(BROKEN) + _forget(OLD)


def _execute(statement: str, most: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [most])
        return int(cursor.rowcount)


@transaction.atomic
def _forget(which: str) -> int:
    """Delete some imports with all that is theirs. ``which`` is one of the constants above."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM import_job WHERE {which} LIMIT %s FOR UPDATE SKIP LOCKED",  # noqa: S608
            [JOBS],
        )
        found = [pk for (pk,) in cursor.fetchall()]
        for table in ("import_chunk", "import_fault"):
            cursor.execute(f"DELETE FROM {table} WHERE job_id = ANY(%s)", [found])  # noqa: S608
        cursor.execute("DELETE FROM import_job WHERE id = ANY(%s)", [found])
    return len(found)
