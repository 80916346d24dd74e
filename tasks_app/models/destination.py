"""A destination is an external system that wants to know."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.utils import timezone

from tasks_app.models.ids import uuid7
from tasks_app.models.workspace import Workspace

# Seconds between attempts (contract §5.4).
DEFAULT_RETRY_SCHEDULE = [5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def default_events() -> list[str]:
    """Return the filter that wants everything."""
    return ["*"]


def default_retry_schedule() -> list[int]:
    """Return a copy of the default schedule."""
    return list(DEFAULT_RETRY_SCHEDULE)


class DestinationState(models.TextChoices):
    """Whether deliveries go out. A paused destination drops nothing."""

    ACTIVE = "active"
    PAUSED = "paused"
    AUTO_PAUSED = "auto_paused"


class DestinationMode(models.TextChoices):
    """What is sent of a task of which several states wait: each of them, or only the newest."""

    EVERY = "every"
    LATEST = "latest"


class SignatureScheme(models.TextChoices):
    """How webhooks are signed (Standard Webhooks): shared secret, ed25519 key, or both at once."""

    V1 = "v1"
    V1A = "v1a"
    BOTH = "both"


class DestinationQuerySet(models.QuerySet["Destination"]):
    """Filters of destinations."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's, without the deleted."""
        return self.filter(workspace_id=workspace_id, deleted_at=None)


class Destination(models.Model):
    """One external system. Deleting it keeps the row: its deliveries stay readable."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="destinations")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, default="webhook")
    url = models.CharField(max_length=2048)
    method = models.CharField(max_length=7, default="POST")
    #: Of headers, auth and tls this is the outline, with a mask for whatever is secret; the whole
    #: is in the sealed column of the same name.
    headers = models.JSONField(default=dict, blank=True)
    auth = models.JSONField(null=True, blank=True)
    tls = models.JSONField(null=True, blank=True)
    sealed_headers = models.TextField(blank=True, default="", editable=False)
    sealed_auth = models.TextField(blank=True, default="", editable=False)
    sealed_tls = models.TextField(blank=True, default="", editable=False)
    signature = models.CharField(
        max_length=4, choices=SignatureScheme.choices, default=SignatureScheme.V1
    )
    sealed_secret = models.TextField(editable=False)
    sealed_old_secret = models.TextField(blank=True, default="", editable=False)
    public_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    old_public_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    sealed_signing_key = models.TextField(blank=True, default="", editable=False)
    sealed_old_signing_key = models.TextField(blank=True, default="", editable=False)
    old_secret_expires_at = models.DateTimeField(null=True, editable=False)
    events = ArrayField(models.CharField(max_length=40), default=default_events)
    mode = models.CharField(
        max_length=6, choices=DestinationMode.choices, default=DestinationMode.EVERY
    )
    max_concurrency = models.PositiveSmallIntegerField(default=10)
    #: {"requests": n, "seconds": s}: at most n in any s seconds, over all workers.
    rate_limit = models.JSONField(null=True, blank=True)
    timeout = models.PositiveSmallIntegerField(default=15)
    #: A JMESPath expression that makes the body of an event; empty for the kind's own body.
    mapping = models.CharField(max_length=4096, blank=True, default="")
    #: Where a mirror finds a new twin's id in the answer; empty for kinds that keep none.
    twin_id_path = models.CharField(max_length=200, blank=True, default="")
    retry_schedule = ArrayField(models.PositiveIntegerField(), default=default_retry_schedule)
    #: Another destination of the workspace, which must have an event before this one gets it.
    after = models.UUIDField(null=True, blank=True)
    state = models.CharField(
        max_length=12, choices=DestinationState.choices, default=DestinationState.ACTIVE
    )
    paused_reason = models.CharField(max_length=200, blank=True, default="")
    blocked_until = models.DateTimeField(null=True, editable=False)
    #: When it was last resumed: what was tried before counts its age anew from its next attempt.
    resumed_at = models.DateTimeField(null=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DestinationQuerySet.as_manager()

    class Meta:
        db_table = "destination"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name"],
                condition=models.Q(deleted_at=None),
                name="destination_name_once",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=DestinationState.values),
                name="destination_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(signature__in=SignatureScheme.values),
                name="destination_signature_known",
            ),
            models.CheckConstraint(
                condition=models.Q(mode__in=DestinationMode.values), name="destination_mode_known"
            ),
            models.CheckConstraint(
                condition=models.Q(max_concurrency__gte=1), name="destination_sends_something"
            ),
        ]
        indexes = [
            models.Index(
                OpClass("name", name="varchar_pattern_ops"), name="destination_name_begins"
            ),
            models.Index(
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="destination_deleted",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DestinationCounter(models.Model):
    """The last ``webhook-sequence`` of a destination, apart from the row that leasing locks."""

    destination_id = models.UUIDField(primary_key=True)
    sequence = models.BigIntegerField(default=0)
    #: What waits behind a chain up to this sequence does so no more; 0 where all of it was let go.
    freed_to = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "destination_counter"
        indexes = [
            models.Index(
                fields=["destination_id"],
                condition=models.Q(freed_to__gt=0),
                name="counter_to_free",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.destination_id}: {self.sequence}"
