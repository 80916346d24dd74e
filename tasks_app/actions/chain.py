"""Chains: which destination comes after which. No circle, no stranger, nothing left behind.

Whoever sets a destination's ``after`` looks at the chain with the workspace's head locked, so two
changes that would close a circle together see each other.
"""

import uuid

from django.db import connection

from tasks_app.events.record import lock_heads
from tasks_app.events.turn import give_turns_to
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.models import Destination

_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT d.id, d.after FROM destination d
        WHERE d.id = %s AND d.workspace_id = %s AND d.deleted_at IS NULL
        UNION
        SELECT d.id, d.after FROM chain c JOIN destination d ON d.id = c.after
        WHERE d.deleted_at IS NULL)
    SELECT id FROM chain
"""
_SET_FREE = """
    UPDATE delivery SET behind = NULL
    WHERE destination_id = %s AND task_id IS NOT NULL AND state IN ('waiting', 'pending', 'leased')
      AND state = 'waiting' AND behind IS NOT NULL
    RETURNING destination_id, task_id
"""


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
    """Let go what waits behind the destination's old chain, in the order of its tasks."""
    lock_heads([destination.workspace_id])
    with connection.cursor() as cursor:
        cursor.execute(_SET_FREE, [destination.pk])
        pairs: set[tuple[uuid.UUID, uuid.UUID]] = set(cursor.fetchall())
    give_turns_to(pairs)


def _refused(code: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError("/after", code, detail),))
