"""Whose turn it is: of one task and one destination, the first delivery that has not ended."""

import uuid
from collections.abc import Iterable

from django.db import connection

from tasks_app.models import Delivery


def give_turns(deliveries: Iterable[Delivery]) -> None:
    """Let the next delivery of each one's (destination, task) become due, if none is in flight.

    Called after deliveries have ended, failed or been revived, in the same transaction and with
    the heads of their workspaces locked (see lock_heads), before the events that tell of it:
    their `sync` counts the deliveries as they stand then.
    """
    pairs = {(one.destination_id, one.task_id) for one in deliveries if one.task_id is not None}
    give_turns_to(pairs)


def give_turns_to(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Do the same for (destination, task) pairs."""
    listed = list(pairs)
    if not listed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT aftercommit_give_turns(%s::uuid[], %s::uuid[])",
            [[destination for destination, _ in listed], [task for _, task in listed]],
        )
