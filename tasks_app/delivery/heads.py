"""Heads for what can wait: those that are free, so that one that is held keeps up no other's."""

import random
import uuid
from collections.abc import Collection
from typing import Final

from django.db import OperationalError, connection, transaction

from tasks_app.delivery.away import is_held_up
from tasks_app.events.record import lock_free_heads, lock_heads

PATIENCE: Final = 250  # milliseconds; for a head that is busy


def lock_some_heads(workspaces: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Lock the heads that are free, until the transaction ends; return their workspaces.

    Where all are busy it queues up at one of them for a moment, while it holds none.
    """
    return lock_free_heads(workspaces) or _wait_for_one(workspaces)


def _wait_for_one(workspaces: Collection[uuid.UUID]) -> set[uuid.UUID]:
    if not workspaces:
        return set()
    one = random.choice(list(workspaces))  # noqa: S311 - everybody's turn, no secret
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(PATIENCE)])
            lock_heads([one])
    except OperationalError as error:
        if is_held_up(error):
            return set()
        raise
    return {one}
