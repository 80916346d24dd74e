"""A bearer token of one member in one workspace: shown once, kept as a digest."""

from typing import Self

from django.db import models
from django.db.models.functions import Now

from tasks_app.models.ids import uuid7
from tasks_app.models.membership import Membership


class Scope(models.TextChoices):
    """What a key may do at most; its member's role limits it further."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Filters of keys."""

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
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope__in=Scope.values), name="api_key_scope_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"
