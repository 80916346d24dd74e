"""Reading data and the log's head as of one instant.

A client that loads a list and then follows the stream from the list's cursor must miss nothing and
may see nothing older than what it has. Both hold only if the rows and the head come from the same
snapshot, so a read is one REPEATABLE READ transaction: its first statement, the head's, fixes the
snapshot for all that follow. (One statement for both would have to carry the head through an outer
join of every query, and a detail with its attempts is more than one anyway.) It is read only, takes
no lock and waits for nobody.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from tasks_app.models import WorkspaceHead


@dataclass(frozen=True, slots=True)
class Head:
    """Where a workspace's log ends."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"


@contextmanager
def snapshot_at_head(workspace_id: uuid.UUID) -> Iterator[Head]:
    """Give the head; what is read inside the block is as of that head.

    Inside a transaction that is already open, its isolation is kept; the head still comes first,
    so that the data is never older than the cursor.
    """
    if connection.in_atomic_block:
        yield _head(workspace_id)
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield _head(workspace_id)


def _head(workspace_id: uuid.UUID) -> Head:
    return Head(*WorkspaceHead.objects.values_list("epoch", "seq").get(pk=workspace_id))
