"""A workspace is the tenant: everything belongs to exactly one, nothing is seen from another."""

import secrets
from typing import Any, Final

from django.db import models, transaction

from tasks_app.models.ids import uuid7

#: Python and PostgreSQL read it alike: it stands in addresses.
SLUG_PATTERN: Final = r"\A[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?\Z"
SLUG_RULE: Final = "1 to 50 of a-z, 0-9 and -, which stands neither first nor last."


def new_epoch() -> str:
    """Return the name of a log's life; a log that was lost or restored gets another."""
    return secrets.token_hex(4)


class Workspace(models.Model):
    """One tenant."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)
    #: From here on nobody enters; the sweep erases what is left of it.
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "workspace"
        indexes = [
            models.Index(
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="workspace_to_erase",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(slug__regex=SLUG_PATTERN), name="workspace_slug_stands_anywhere"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @transaction.atomic
    def save(self, **options: Any) -> None:
        """Write it; a new one with the head of its log, without which nothing of it answers."""
        adding = self._state.adding
        super().save(**options)
        if adding:
            WorkspaceHead.objects.get_or_create(workspace_id=self.pk)


class WorkspaceHead(models.Model):
    """The end of a workspace's log. Raised only by ``aftercommit_record``.

    A table of its own without foreign keys: its row is the one lock that every writer of a
    workspace shares, so nothing else may ever wait on it.
    """

    workspace_id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField(default=0)
    epoch = models.CharField(max_length=16, default=new_epoch)
    task_number = models.BigIntegerField(default=0)

    class Meta:
        db_table = "workspace_head"

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"
