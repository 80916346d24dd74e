"""A bearer token of one member in one workspace: shown once, kept as a digest."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

from django.db import models
from django.db.models.functions import Now

from tasks_app.models.ids import uuid7
from tasks_app.models.membership import Membership, Role


class Scope(models.TextChoices):
    """What a key may do at most; its member's role limits it further."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


#: What a key of a member may be at most: a scope that says more than the role would be a lie.
HIGHEST_SCOPE: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        Role.VIEWER: Scope.READ,
        Role.MEMBER: Scope.WRITE,
        Role.ADMIN: Scope.ADMIN,
        Role.OWNER: Scope.ADMIN,
    }
)


def scopes_of_role(role: str) -> list[str]:
    """Return the scopes that a key of this role may have, from the least to the most."""
    return Scope.values[: Scope.values.index(HIGHEST_SCOPE[Role(role)]) + 1]


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Filters of keys."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(membership__workspace_id=workspace_id)

    def alive(self) -> Self:
        """Keep keys that are neither revoked nor expired nor of a disabled user."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=Now())
        return self.filter(unexpired, revoked_at=None, membership__user__is_active=True)


class ApiKey(models.Model):
    """One key. The secret itself is nowhere."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    membership = models.ForeignKey(Membership, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.WRITE)
    #: Null: as all keys; 0: without limit.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_key"
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope__in=Scope.values), name="api_key_scope_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"
