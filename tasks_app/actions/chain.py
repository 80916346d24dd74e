"""Chains: which destination comes after which. No circle, no stranger, nothing left behind.

Whoever sets a destination's ``after`` looks at the chain with the workspace's head locked, so two
changes that would close a circle together see each other.
"""

from typing import Final

from django.db import connection

from tasks_app.events.record import lock_heads
from tasks_app.events.turn import let_go
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.models import Destination

BATCH: Final = 1000  # deliveries let go by the request itself

_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT d.id, d.after FROM destination d
        WHERE d.id = %s AND d.workspace_id = %s AND d.deleted_at IS NULL
        UNION
        SELECT d.id, d.after FROM chain c JOIN destination d ON d.id = c.after
        WHERE d.deleted_at IS NULL)
    SELECT id FROM chain
"""
_FREE = "UPDATE destination_counter SET freed_to = sequence WHERE destination_id = %s"


def check_chain(destination: Destination) -> None:
    """Take the head; raise Invalid where the destination may not come after the one it names."""
    if destination.after is None:
        return
    lock_heads([destination.workspace_id])
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN, [destination.after, destination.workspace_id])
        chain = {pk for (pk,) in cursor.fetchall()}
    if not chain:
        raise _refused("not_found", "There is no such destination in this workspace.")
    if destination.pk in chain:
        raise _refused("cycle", "This destination would come after itself.")


def set_free(destination: Destination) -> None:
    """Let go what waits behind the destination's old chain, in the order of its sequence.

    From this commit on none of it is cancelled with that chain any more; what is beyond one batch
    gets its turns from the sweep.
    """
    lock_heads([destination.workspace_id])
    with connection.cursor() as cursor:
        cursor.execute(_FREE, [destination.pk])
    let_go(destination.pk, most=BATCH)


def _refused(code: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError("/after", code, detail),))
