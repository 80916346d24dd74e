"""A notice is a mail to a workspace's owners that is still to be sent: an outbox of its own."""

from django.db import models
from django.utils import timezone

from tasks_app.models.ids import uuid7


class NoticeKind(models.TextChoices):
    """What owners are told of."""

    AUTO_PAUSED = "auto_paused"
    CIRCUIT_OPENED = "circuit_opened"
    RECOVERED = "recovered"


class Notice(models.Model):
    """One mail, written in the transaction of what it tells of. ``error`` says why it failed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    destination_id = models.UUIDField()
    kind = models.CharField(max_length=20, choices=NoticeKind.choices)
    detail = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    next_try_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveSmallIntegerField(default=0)
    ended_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "notice"
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(ended_at__isnull=True),
                name="notice_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.destination_id}"
