"""A replay: events of the past, once more for one destination. Its row is its own queue.

It walks the log from ``cursor`` to ``to_seq``; each step makes deliveries and moves the cursor in
one transaction, so a step that dies has not happened.
"""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from tasks_app.models.destination import Destination
from tasks_app.models.ids import uuid7


class ReplayState(models.TextChoices):
    """Under way, held up by its destination, or over."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    CANCELLED = "cancelled"


class ReplayQuerySet(models.QuerySet["Replay"]):
    """Filters of replays."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)


class Replay(models.Model):
    """What is chosen, how far it is, and what has become of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    destination = models.ForeignKey(Destination, models.CASCADE, related_name="replays")
    state = models.CharField(
        max_length=10, choices=ReplayState.choices, default=ReplayState.RUNNING
    )
    #: Why it waits or was cancelled.
    reason = models.CharField(max_length=40, blank=True, default="")
    #: The part of the log that is walked: after ``cursor``, to ``to_seq``; or these alone.
    from_seq = models.BigIntegerField()
    to_seq = models.BigIntegerField()
    events = ArrayField(models.BigIntegerField(), null=True)
    from_time = models.DateTimeField(null=True)
    to_time = models.DateTimeField(null=True)
    #: Only events whose newest delivery is in one of these; empty for whatever has ended.
    states = ArrayField(models.CharField(max_length=10), default=list)
    #: Deliveries a second; none for as fast as they go.
    rate = models.PositiveIntegerField(null=True)
    next_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField()
    total = models.BigIntegerField(null=True)
    made = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    #: Of those made, how many had ended when somebody last looked.
    ended = models.BigIntegerField(default=0)
    #: Cancelled, and what it has made is to be cancelled too.
    cancels_deliveries = models.BooleanField(default=False)
    actor = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, default="")
    #: When its progress was last told of, and what that was (made and ended).
    told = models.BigIntegerField(default=0)
    told_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = ReplayQuerySet.as_manager()

    class Meta:
        db_table = "replay"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=ReplayState.values), name="replay_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace_id", "-id"], name="replay_newest"),
            models.Index(
                fields=["id"],
                condition=models.Q(state__in=["running", "waiting"])
                | models.Q(cancels_deliveries=True),
                name="replay_under_way",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.state}"
