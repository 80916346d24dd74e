"""The event log: outbox, audit trail and live stream at once. Rows are never changed."""

import uuid
from typing import Self

from django.db import models

from tasks_app.models.ids import uuid7

SCHEMA = 1


class EventQuerySet(models.QuerySet["Event"]):
    """Filters of events."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def after(self, seq: int) -> Self:
        """Keep what follows a cursor, in order."""
        return self.filter(seq__gt=seq).order_by("seq")


class Event(models.Model):
    """One committed change or outcome; ``seq`` is dense and in commit order per workspace.

    No foreign keys: the log outlives what it tells of.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    seq = models.BigIntegerField()
    schema = models.PositiveSmallIntegerField(default=SCHEMA)
    type = models.CharField(max_length=40)
    at = models.DateTimeField()
    actor = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, default="")
    traceparent = models.CharField(max_length=55, blank=True, default="")
    task_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "event"
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "seq"], name="event_seq_once"),
            models.CheckConstraint(condition=models.Q(seq__gt=0), name="event_seq_positive"),
        ]
        indexes = [
            models.Index(
                fields=["task_id", "seq"],
                name="event_of_task",
                condition=models.Q(task_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"
