"""Queues of which more has to end than goes into one transaction."""

from django.db import models

from tasks_app.models.ids import uuid7


class LongQueue(models.Model):
    """The queue of one task at one destination, until the sweep has ended what has to end there.

    Written by SQL (0007_chains.sql, 0008_latest.sql) under the workspace's head. While it is here
    nothing of the queue has its turn, so that nothing goes out of which a newer state is wanted.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    destination_id = models.UUIDField()
    task_id = models.UUIDField()

    class Meta:
        db_table = "long_queue"
        constraints = [
            models.UniqueConstraint(fields=["destination_id", "task_id"], name="long_queue_once"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} → {self.destination_id}"
