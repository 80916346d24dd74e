"""A notice is a mail that is still to be sent: an outbox of its own.

To a workspace's owners, to somebody who is invited, or to somebody who forgot a password.
"""

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from tasks_app.models.ids import uuid7


class NoticeKind(models.TextChoices):
    """What is told: the first three to owners, the others to one address."""

    AUTO_PAUSED = "auto_paused"
    CIRCUIT_OPENED = "circuit_opened"
    RECOVERED = "recovered"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105


class Notice(models.Model):
    """One mail, written in the transaction of what it tells of. ``error`` says why it failed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField(null=True)
    destination_id = models.UUIDField(null=True)
    invitation_id = models.UUIDField(null=True)
    #: Where a link to a new password was asked for. Whose it is, is asked when the mail is sent.
    address = models.CharField(max_length=254, blank=True, default="")
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
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(ended_at__isnull=True, kind=NoticeKind.PASSWORD_RESET),
                name="notice_due_first",
            ),
            models.Index(
                Lower("address"),
                "created_at",
                condition=models.Q(kind=NoticeKind.PASSWORD_RESET),
                name="notice_to_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
