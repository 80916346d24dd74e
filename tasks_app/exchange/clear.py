"""Clearing up: files once their imports are over, uploads that broke off, imports of long ago.

A file is deleted part by part, each a few in a transaction of their own: a hundred megabytes at
once may take longer than a statement may.
"""

import time
from typing import Any, Final

from django.db import connection, transaction

SELDOM: Final = 60.0  # seconds between two looks for what is old
PARTS: Final = 40  # of files in one statement: 10 MiB
SLICE: Final = 0.5  # seconds of one look for what is old

# The parts of what is over; a file that is still wanted is never among them.
FILES: Final = """
    DELETE FROM import_chunk WHERE id = ANY(ARRAY(
        SELECT c.id FROM import_job j JOIN import_chunk c ON c.job_id = j.id
        WHERE j.ended_at > statement_timestamp() - interval '1 day'
        LIMIT %s FOR UPDATE OF c SKIP LOCKED))
"""
# Whoever sends a file writes a part of it every minute, or is cut off. What has ended takes no more
# of it, is no longer counted, and its parts are forgotten as those of any other.
BROKEN: Final = """
    UPDATE import_job SET ended_at = statement_timestamp() WHERE id = ANY(ARRAY(
        SELECT id FROM import_job
        WHERE state = 'receiving' AND ended_at IS NULL
          AND told_at < statement_timestamp() - interval '15 minutes'
        FOR UPDATE SKIP LOCKED))
"""
OLD: Final = """
    SELECT id FROM import_job WHERE ended_at < statement_timestamp() - interval '30 days'
    LIMIT 1 FOR UPDATE SKIP LOCKED
"""
PARTS_OF: Final = """
    DELETE FROM import_chunk WHERE id = ANY(ARRAY(
        SELECT id FROM import_chunk WHERE job_id = %s LIMIT %s))
"""

_last = [float("-inf")]


def forget_files() -> int:
    """Delete a batch of parts that nobody needs; seldom, imports of old. Return how many parts."""
    parts = _execute(FILES, PARTS)
    if time.monotonic() - _last[0] >= SELDOM:
        _last[0] = time.monotonic()
        forget_the_old()
    return parts


def forget_the_old() -> int:
    """End uploads that broke off, delete imports that ended 30 days ago; return how many of both.

    It goes on where it ended the next time.
    """
    gone, ends = _execute(BROKEN), time.monotonic() + SLICE
    while time.monotonic() < ends and (found := _forget_one()) is not None:
        gone += found
    return gone


def _execute(statement: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


@transaction.atomic
def _forget_one() -> int | None:
    """Delete some parts of an old import, or, once there are none, the rest; None without any."""
    with connection.cursor() as cursor:
        cursor.execute(OLD)
        found = cursor.fetchone()
    if found is None:
        return None
    if _execute(PARTS_OF, found[0], PARTS):
        return 0
    _execute("DELETE FROM import_fault WHERE job_id = %s", found[0])
    return _execute("DELETE FROM import_job WHERE id = %s", found[0])
