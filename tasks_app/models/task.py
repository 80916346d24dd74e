"""A task is a unit of work a team tracks; every committed change of it is an event."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.utils import timezone

from tasks_app.models.ids import uuid7
from tasks_app.models.workspace import Workspace

TITLE_MAX, DESCRIPTION_MAX, LABELS_MAX, LABEL_MAX = 200, 20_000, 50, 50


class Status(models.TextChoices):
    """Where a task stands."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"


class Priority(models.TextChoices):
    """How soon; deliveries of urgent and high tasks go before others."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class SyncState(models.TextChoices):
    """How the outside world stands to a task, worst first."""

    FAILED = "failed"
    RETRYING = "retrying"
    SCHEDULED = "scheduled"
    SYNCED = "synced"
    NONE = "none"


class TaskQuerySet(models.QuerySet["Task"]):
    """Filters of tasks."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def with_sync(self) -> Self:
        """Add ``sync_state``: the state that the log last told."""
        state = TaskSync.objects.filter(task_id=models.OuterRef("pk")).values("state")
        none = models.Value(SyncState.NONE.value)
        return self.annotate(sync_state=models.functions.Coalesce(models.Subquery(state), none))


class Task(models.Model):
    """One task. ``number`` is null only inside the transaction that creates it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="tasks")
    number = models.BigIntegerField(null=True, editable=False)
    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001
    title = models.CharField(max_length=TITLE_MAX)
    description = models.TextField(max_length=DESCRIPTION_MAX, blank=True, default="")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.OPEN)
    priority = models.CharField(max_length=8, choices=Priority.choices, default=Priority.NORMAL)
    assignee = models.CharField(max_length=150, blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True)
    labels = ArrayField(models.CharField(max_length=LABEL_MAX), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    #: What the log last told of the outside world: set by `with_sync()` and by the actions.
    sync_state: str | None

    objects = TaskQuerySet.as_manager()

    class Meta:
        db_table = "task"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="task_number_once"),
            models.UniqueConstraint(
                fields=["workspace", "external_id"], name="task_external_id_once"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="task_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="task_priority_known"
            ),
            models.CheckConstraint(condition=~models.Q(title=""), name="task_has_a_title"),
        ]
        indexes = [
            models.Index(fields=["workspace", "-created_at", "-id"], name="task_newest"),
            models.Index(fields=["workspace", "-updated_at", "-id"], name="task_latest_change"),
            models.Index(
                fields=["workspace", "status", "-created_at", "-id"], name="task_by_status"
            ),
            GinIndex(fields=["labels"], name="task_labels"),
            GinIndex(SearchVector("title", config="simple"), name="task_title_words"),
            models.Index(
                fields=["workspace", "priority", "-created_at", "-id"],
                condition=~models.Q(priority=Priority.NORMAL),
                name="task_by_priority",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"


class TaskSync(models.Model):
    """A task's ``sync``, apart from the task: written only under the workspace's head.

    Settling a delivery must never wait for a request that edits the task, nor the other way
    round; a row of its own keeps them from each other.
    """

    task_id = models.UUIDField(primary_key=True)
    workspace_id = models.UUIDField()
    state = models.CharField(max_length=10, choices=SyncState.choices)

    class Meta:
        db_table = "task_sync"
        indexes = [models.Index(fields=["workspace_id", "state"], name="task_sync_by_state")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=SyncState.values), name="task_sync_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id}: {self.state}"
