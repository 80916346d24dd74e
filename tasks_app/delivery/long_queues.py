"""Queues of which more has to end than goes into one transaction: ended a batch at a time.

Thousands of states of one task that gave way to a newer one, or whose chain broke, end in so many
transactions as it takes, so that nobody waits long for the head of the log. Nothing of such a queue
goes out meanwhile.
"""

from typing import Final

from django.db import connection, transaction

from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.cause import system
from tasks_app.events.record import record_events
from tasks_app.events.turn import go_on

QUEUES: Final = 100

LEFT: Final = """
    SELECT l.destination_id, l.task_id, d.workspace_id FROM long_queue l
    JOIN destination d ON d.id = l.destination_id ORDER BY random() LIMIT %s
"""


@transaction.atomic
def end_some() -> int:
    """End a batch in queues whose workspaces are not held up; return how many queues it met."""
    with connection.cursor() as cursor:
        cursor.execute(LEFT, [QUEUES])
        left = cursor.fetchall()
    free = lock_some_heads({workspace for _, _, workspace in left})
    pairs = [(destination, task) for destination, task, workspace in left if workspace in free]
    record_events(go_on(pairs, cause=system("delivery")))
    return len(pairs)
