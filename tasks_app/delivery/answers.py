"""Answers kept by `Idempotency-Key` are forgotten after their day, by the database's clock."""

from typing import Final

from django.db import connection

BATCH: Final = 1000

# The index of expiry finds them; one that is being taken for a new request is left to that.
_FORGET: Final = """
    DELETE FROM idempotency_key WHERE id = ANY(ARRAY(
        SELECT id FROM idempotency_key WHERE expires_at <= statement_timestamp()
        ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED))
"""


def forget_answers() -> int:
    """Delete a batch of what is no longer honoured; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [BATCH])
        return int(cursor.rowcount)
