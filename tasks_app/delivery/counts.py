"""Counts of attempts are forgotten once no statistics look that far back."""

from typing import Final

from django.db import connection

BATCH: Final = 5000

_FORGET: Final = """
    DELETE FROM attempt_count WHERE id = ANY(ARRAY(
        SELECT id FROM attempt_count WHERE slot < statement_timestamp() - interval '25 hours'
        ORDER BY slot LIMIT %s))
"""


def forget_counts() -> int:
    """Delete a batch of counts older than a day and an hour; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [BATCH])
        return int(cursor.rowcount)
