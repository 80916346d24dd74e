"""Who belongs to a workspace, and as what."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models

from tasks_app.models.ids import uuid7
from tasks_app.models.workspace import Workspace


class Role(models.TextChoices):
    """From the least to the most; each may do what those before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Filters of members."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def at_work(self) -> Self:
        """Keep those who may enter: the user is active, the workspace not deleted."""
        return self.filter(user__is_active=True, workspace__deleted_at=None)


class Membership(models.Model):
    """A user in a workspace, with one role."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        db_table = "membership"
        indexes = [
            models.Index(fields=["role", "-id"], name="membership_by_role"),
            models.Index(fields=["workspace", "role", "-id"], name="membership_by_role_here"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.workspace_id}"
