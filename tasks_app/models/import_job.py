"""An import: a file of tasks, kept in parts until a worker has walked it. Its row is its own queue.

The file lies in the database, since a worker on another machine shares no disk with whoever took
it. A step reads some rows after ``offset``, makes what they ask for and moves ``offset`` in one
transaction, so a step that dies has not happened.
"""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from tasks_app.models.ids import uuid7
from tasks_app.models.workspace import Workspace


class ImportState(models.TextChoices):
    """Under way, or over. (One whose file is still coming in is nobody's yet.)"""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ImportFormat(models.TextChoices):
    """How the file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


RECEIVING = "receiving"


class ImportQuerySet(models.QuerySet["ImportJob"]):
    """Filters of imports."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's, once their files are whole."""
        return self.filter(workspace_id=workspace_id).exclude(state=RECEIVING)

    def under_way(self) -> Self:
        """Keep those that have something to do, in workspaces that are still there."""
        alive = Workspace.objects.filter(pk=models.OuterRef("workspace_id"), deleted_at=None)
        return self.filter(models.Exists(alive), state=ImportState.RUNNING)


class ImportJob(models.Model):
    """What was asked for, how far it is, and what has become of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    state = models.CharField(max_length=10, default=RECEIVING)
    #: Why it failed or was cancelled.
    reason = models.CharField(max_length=40, blank=True, default="")
    format = models.CharField(max_length=6, choices=ImportFormat.choices)
    filename = models.CharField(max_length=200, blank=True, default="")
    dry_run = models.BooleanField(default=False)
    delimiter = models.CharField(max_length=1, blank=True, default="")
    #: The header's names; an empty one is a column that holds nothing.
    columns = ArrayField(models.TextField(), default=list)
    size = models.BigIntegerField(default=0)
    #: Where the next step begins: bytes, lines and rows before it; while ``total`` is null it
    #: counts, and begins anew at ``start``.
    start = models.BigIntegerField(default=0)
    start_line = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    line = models.BigIntegerField(default=0)
    row = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    #: Steps in a row that went wrong here, not in the file.
    trouble = models.PositiveSmallIntegerField(default=0)
    actor = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, default="")
    #: When its progress was last told of, or a part of its file came in.
    told_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        db_table = "import_job"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=[RECEIVING, *ImportState.values]),
                name="import_state_known",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace_id", "-id"], name="import_newest"),
            models.Index(
                fields=["id"],
                condition=models.Q(state__in=[RECEIVING, "running"]),
                name="import_under_way",
            ),
            models.Index(
                fields=["ended_at"],
                condition=models.Q(ended_at__isnull=False),
                name="import_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.state}"

    @property
    def done(self) -> int:
        """Rows that were taken."""
        return self.created + self.updated + self.unchanged


class ImportChunk(models.Model):
    """A part of a file: all but the last have the same size."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "import_chunk"
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="import_chunk_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.number}"


class ImportFault(models.Model):
    """One thing wrong with one row of a file."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="faults")
    row = models.BigIntegerField()
    line = models.BigIntegerField()
    pointer = models.TextField(blank=True)
    code = models.CharField(max_length=60)
    detail = models.TextField()

    class Meta:
        db_table = "import_fault"
        indexes = [models.Index(fields=["job", "id"], name="import_fault_in_order")]

    def __str__(self) -> str:
        return f"{self.row} {self.pointer}: {self.code}"
