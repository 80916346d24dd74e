"""An invitation: an address that may join a workspace by a link, until it expires."""

import uuid
from datetime import timedelta
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

from tasks_app.models.ids import uuid7
from tasks_app.models.membership import Role
from tasks_app.models.workspace import Workspace

INVITATION_LIVES: Final = timedelta(days=7)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Filters of invitations."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def open(self) -> Self:
        """Keep those neither used nor revoked; one that has expired may be sent again."""
        return self.filter(accepted_at=None, revoked_at=None)

    def sent_lately(self, email: str) -> Self:
        """Keep those that were mailed to an address within the last week, revoked ones too."""
        lowered = self.alias(lowered=Lower("email")).filter(lowered=email.lower())
        return lowered.filter(expires_at__gt=Now())

    def usable(self) -> Self:
        """Keep those by which somebody may join now."""
        return self.open().filter(expires_at__gt=Now(), workspace__deleted_at=None)


class Invitation(models.Model):
    """One address, invited once at a time. ``issue`` is raised by sending anew: old links die.

    The link is nowhere: it is signed from id and issue when the mail is sent.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    invited_by = models.CharField(max_length=150)
    #: The membership of who invited: once that ends, or is no owner's, this does not hold.
    inviter_id = models.UUIDField(null=True, editable=False)
    issue = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        db_table = "invitation"
        indexes = [models.Index(Lower("email"), "expires_at", name="invitation_to_address")]
        constraints = [
            models.UniqueConstraint(
                "workspace",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="invitation_role_known"
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(revoked_at=None),
                name="invitation_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"
