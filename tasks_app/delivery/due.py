"""When there is something to lease, by the database's clock."""

from typing import Final

from django.conf import settings
from django.db import connection

NEVER: Final = float("inf")
AHEAD: Final = 0.5
"""Seconds; a drain stays for what will be due so soon, and the sweep rings for it."""


def due_in(*, ahead: float) -> float:
    """Return after how many seconds a lease would find something: 0 for now, NEVER where not
    within ``ahead`` seconds, or only once something that is under way has ended.
    """
    if not settings.OUTBOUND_ENABLED:
        return NEVER
    with connection.cursor() as cursor:
        cursor.execute("SELECT aftercommit_due_in(%s::double precision)", [ahead])
        found = cursor.fetchone()[0]
    return NEVER if found is None else float(found)
