"""A schedule makes a task again and again; an occurrence is one time that it did, or could not.

`next_at` moves on in the transaction that makes what was due, under the schedule's row lock: that
is what makes each occurrence come once. The unique row of each is the belt beside it.
"""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models.functions import Now

from tasks_app.models.ids import uuid7
from tasks_app.models.workspace import Workspace


class ScheduleState(models.TextChoices):
    """Whether it makes tasks."""

    ACTIVE = "active"
    PAUSED = "paused"


class CatchUp(models.TextChoices):
    """What is made of what was missed, see `recurrence/catch_up.py`."""

    LAST = "last"
    ALL = "all"
    NONE = "none"


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Filters of schedules."""

    def in_workspace(self, workspace_id: uuid.UUID) -> Self:
        """Keep one workspace's."""
        return self.filter(workspace_id=workspace_id)

    def due(self) -> Self:
        """Keep what has something to make, by the database's clock."""
        living = self.filter(workspace__deleted_at=None)
        return living.filter(state=ScheduleState.ACTIVE, next_at__lte=Now())

    def with_now(self) -> Self:
        """Add ``now``: the database's time at which a row was read."""
        return self.annotate(now=Now())


class Schedule(models.Model):
    """One recurring task."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    cron = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=64)
    #: Fields of the tasks it makes, and ``due_in``: seconds from the occurrence, or null.
    template = models.JSONField(default=dict)
    catch_up = models.CharField(max_length=4, choices=CatchUp.choices, default=CatchUp.LAST)
    state = models.CharField(
        max_length=6, choices=ScheduleState.choices, default=ScheduleState.ACTIVE
    )
    #: The next occurrence, as the zone's data put it; none while it is paused.
    next_at = models.DateTimeField(null=True, editable=False)
    #: What the zone's clock shows then: ``2026-03-29T02:30``, though that be skipped.
    next_local = models.CharField(max_length=16, blank=True, default="", editable=False)
    last_at = models.DateTimeField(null=True, editable=False)
    last_local = models.CharField(max_length=16, blank=True, default="", editable=False)
    #: From when on it counts: when it was made, resumed, or told other times.
    since = models.DateTimeField(db_default=Now(), editable=False)
    #: Why the last occurrence made no task, or why it had to be paused.
    error = models.CharField(max_length=300, blank=True, default="", editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    #: Set by ``with_now()``.
    now: datetime

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        db_table = "schedule"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="schedule_name_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=ScheduleState.values), name="schedule_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(catch_up__in=CatchUp.values), name="schedule_catch_up_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                condition=models.Q(state=ScheduleState.ACTIVE),
                name="schedule_due",
            ),
            models.Index(
                fields=["workspace", "next_at"],
                condition=models.Q(state=ScheduleState.ACTIVE),
                name="schedule_due_of_workspace",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleOccurrence(models.Model):
    """What came of one time: a task, or an error."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="occurrences")
    at = models.DateTimeField()
    #: No foreign key: the task may be deleted.
    task_id = models.UUIDField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "schedule_occurrence"
        constraints = [
            models.UniqueConstraint(fields=["schedule", "at"], name="occurrence_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="occurrence_by_age")]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.at}"
