"""A delivery is one event for one destination; the table of them is the queue."""

import uuid
from typing import Self

from django.db import models
from django.utils import timezone

from tasks_app.models.destination import Destination
from tasks_app.models.ids import uuid7


class DeliveryState(models.TextChoices):
    """Three ways to be under way, four ways to end."""

    WAITING = "waiting"
    PENDING = "pending"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


OPEN_STATES = (DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.LEASED)

RANK_URGENT, RANK_NORMAL, RANK_RETRY, RANK_REPLAY = 0, 1, 2, 3


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Filters of deliveries."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def unfinished(self) -> Self:
        """Keep those that have not ended."""
        return self.filter(state__in=OPEN_STATES)


class Delivery(models.Model):
    """One row of the queue. Narrow on purpose: the payload is the event's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    # Without an index of its own: `delivery_sequence_once` begins with it.
    destination = models.ForeignKey(
        Destination, models.CASCADE, related_name="deliveries", db_index=False
    )
    event_seq = models.BigIntegerField()
    event_type = models.CharField(max_length=40)
    task_id = models.UUIDField(null=True)
    message_id = models.UUIDField()
    sequence = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices)
    rank = models.PositiveSmallIntegerField(default=RANK_NORMAL)
    next_attempt_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    leases = models.PositiveIntegerField(default=0)
    claim_id = models.UUIDField(null=True)
    leased_by = models.CharField(max_length=120, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=40, blank=True, default="")
    #: The delivery of the same event to the destination that this one comes after, or none.
    behind = models.UUIDField(null=True)
    #: The newer state of its task that went instead (mode latest), or none.
    superseded_by = models.UUIDField(null=True)
    #: Sent with ``webhook-replay`` where set: the order of its task no longer holds for it.
    replay = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    #: The first attempt since it was last set going; DELIVERY_MAX_AGE counts from here.
    trying_since = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "delivery"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["destination", "sequence"], name="delivery_sequence_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=DeliveryState.values), name="delivery_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(state="leased", claim_id__isnull=False)
                    | models.Q(~models.Q(state="leased"), claim_id__isnull=True)
                ),
                name="delivery_claimed_while_leased",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(state__in=OPEN_STATES, ended_at__isnull=True)
                    | models.Q(~models.Q(state__in=OPEN_STATES), ended_at__isnull=False)
                ),
                name="delivery_ends_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["destination", "rank", "next_attempt_at", "sequence"],
                condition=models.Q(state="pending"),
                name="delivery_due",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(state="pending"),
                name="delivery_due_longest",
            ),
            models.Index(
                fields=["destination", "leased_by"],
                condition=models.Q(state="leased"),
                name="delivery_in_flight",
            ),
            models.Index(
                fields=["destination", "task_id", "sequence"],
                condition=models.Q(state__in=OPEN_STATES, task_id__isnull=False),
                name="delivery_queue_of_task",
            ),
            models.Index(
                fields=["task_id", "destination", "-sequence"],
                condition=models.Q(task_id__isnull=False),
                name="delivery_newest_of_task",
            ),
            models.Index(fields=["workspace_id", "-id"], name="delivery_newest"),
            models.Index(
                fields=["workspace_id", "state", "-id"],
                condition=models.Q(state__in=["dead", "cancelled", "superseded"]),
                name="delivery_ended_badly",
            ),
            models.Index(fields=["destination", "event_seq", "sequence"], name="delivery_of_event"),
            models.Index(
                fields=["behind"],
                condition=models.Q(behind__isnull=False),
                name="delivery_in_chain",
            ),
            models.Index(
                fields=["destination", "sequence"],
                condition=models.Q(state="waiting", behind__isnull=False),
                name="delivery_chained",
            ),
            models.Index(
                fields=["replay", "destination", "state", "rank"],
                condition=models.Q(replay__gt=""),  # a query must say so too
                name="delivery_of_replay",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_seq} → {self.destination_id}: {self.state}"
