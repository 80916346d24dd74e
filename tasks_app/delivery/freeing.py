"""Freeing: what waits behind a chain that a destination has left is let go, a batch at a time.

Whoever changes ``after`` lets go the first batch and notes up to which sequence the rest is free;
however much that is, no request and no head waits for it.
"""

from typing import Final

from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.turn import let_go

BATCH: Final = 1000  # deliveries

LEFT = """
    SELECT d.id, d.workspace_id FROM destination_counter c JOIN destination d
    ON d.id = c.destination_id WHERE c.freed_to > 0 ORDER BY random() LIMIT 100
"""


@transaction.atomic
def let_some_go() -> int:
    """Let a batch go, of those whose workspaces are not held up; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(LEFT)
        left = cursor.fetchall()
    free = lock_some_heads({workspace for _, workspace in left})
    gone = 0
    for destination, workspace in left:
        if workspace in free and gone < BATCH:
            gone += let_go(destination, most=BATCH - gone)
    return gone
