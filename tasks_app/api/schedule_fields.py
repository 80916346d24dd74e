"""A schedule as clients write and read it."""

from datetime import UTC, datetime
from typing import Any, Final

from rest_framework import serializers

from tasks_app.api.fields import (
    Distinct,
    Line,
    Prose,
    StrictSerializer,
    Text,
    WholeNumber,
    Word,
)
from tasks_app.api.task import Metadata
from tasks_app.events.snapshot import moment
from tasks_app.models import CatchUp, Priority, Schedule, ScheduleOccurrence, ScheduleState
from tasks_app.models.task import DESCRIPTION_MAX, LABEL_MAX, LABELS_MAX, TITLE_MAX
from tasks_app.recurrence.calendar import Calendar, UnknownZone
from tasks_app.recurrence.expression import LENGTH, BadExpression

DUE_IN_MAX: Final = 10 * 366 * 24 * 3600  # seconds
FEW: Final = 5
#: What moves by itself between a client's reading and writing.
RESTLESS: Final = frozenset({"next_at", "next_runs", "last_at", "error"})


class TemplateSerializer(StrictSerializer):
    """The task that each occurrence makes."""

    title = Line(max_length=TITLE_MAX)
    description = Prose(max_length=DESCRIPTION_MAX, allow_blank=True, default="")
    priority = Word(choices=Priority.choices, default=Priority.NORMAL.value)
    assignee = Line(max_length=150, allow_blank=True, default="")
    labels = Distinct(child=Line(max_length=LABEL_MAX), max_length=LABELS_MAX, default=list)
    metadata = Metadata(default=dict)
    due_in = WholeNumber(
        allow_null=True,
        default=None,
        min_value=0,
        max_value=DUE_IN_MAX,
        help_text="Seconds from the occurrence to the task's `due_at`.",
    )


class TemplateChangeSerializer(TemplateSerializer):
    """What is to be another in the template."""

    title = Line(max_length=TITLE_MAX, required=False)


class ScheduleSerializer(StrictSerializer):
    """A recurring task."""

    id = serializers.UUIDField(read_only=True)
    name = Line(max_length=100)
    cron = Text(
        max_length=LENGTH,
        help_text="Five fields as in crontab(5), or @hourly, @daily, @weekly, @monthly, @yearly.",
    )
    time_zone = Text(max_length=64, default="UTC", help_text="Such as Europe/Berlin.")
    template = TemplateSerializer()
    catch_up = Word(
        choices=CatchUp.choices,
        default=CatchUp.LAST.value,
        help_text="What is made of times that were missed by over 15 minutes.",
    )
    state = serializers.ChoiceField(choices=ScheduleState.choices, read_only=True)
    next_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_at = serializers.DateTimeField(read_only=True, allow_null=True)
    error = serializers.CharField(
        read_only=True, allow_blank=True, help_text="Why the last time made no task."
    )
    created_by = serializers.CharField(read_only=True)
    version = serializers.IntegerField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


class ScheduleDetailSerializer(ScheduleSerializer):
    """A recurring task and when it comes next."""

    next_runs = serializers.ListField(
        read_only=True,
        child=serializers.DateTimeField(),
        help_text="The next five times on the zone's own clock; none while it is paused.",
    )


class ScheduleChangeSerializer(ScheduleDetailSerializer):
    """What is to be another."""

    template = TemplateChangeSerializer()


class ScheduleTrySerializer(StrictSerializer):
    """An expression and a zone to try."""

    cron = Text(max_length=LENGTH)
    time_zone = Text(max_length=64, default="UTC")


class RunsSerializer(serializers.Serializer[Any]):
    """When it would come."""

    next_runs = serializers.ListField(child=serializers.DateTimeField())


class OccurrenceSerializer(serializers.Serializer[Any]):
    """What came of one time: a task, or an error."""

    at = serializers.DateTimeField()
    task = serializers.UUIDField(allow_null=True, help_text="It may have been deleted since.")
    error = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


TEMPLATE: Final = TemplateSerializer()
WHOLE: Final = ScheduleDetailSerializer()
PART: Final = ScheduleChangeSerializer(partial=True)
TRIED: Final = ScheduleTrySerializer()


def told_schedule(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as lists show it."""
    return {
        "id": str(schedule.pk),
        "name": schedule.name,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "template": {name: schedule.template.get(name) for name in TEMPLATE.fields},
        "catch_up": schedule.catch_up,
        "state": schedule.state,
        "next_at": moment(schedule.next_at),
        "last_at": moment(schedule.last_at),
        "error": schedule.error,
        "created_by": schedule.created_by,
        "version": schedule.version,
        "created_at": moment(schedule.created_at),
        "updated_at": moment(schedule.updated_at),
    }


def told_in_detail(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule with its next times, from the one in its row on."""
    runs: list[str] = []
    if schedule.next_at is not None:
        try:
            calendar = Calendar(schedule.cron, schedule.time_zone)
        except (BadExpression, UnknownZone):  # another release's or another machine's
            runs = [moment(schedule.next_at) or ""]
        else:
            begin = schedule.next_at.astimezone(calendar.zone)
            runs = [begin.isoformat(), *next_runs(calendar, schedule.next_at, FEW - 1)]
    return {**told_schedule(schedule), "next_runs": runs}


def next_runs(calendar: Calendar, after: datetime, most: int = FEW) -> list[str]:
    """Return the next times on the zone's own clock (RFC 3339)."""
    few = calendar.next_few(after.astimezone(UTC), most)
    return [one.at.astimezone(calendar.zone).isoformat() for one in few]


def told_occurrence(occurrence: ScheduleOccurrence) -> dict[str, Any]:
    """Return what came of a time."""
    return {
        "at": moment(occurrence.at),
        "task": str(occurrence.task_id) if occurrence.task_id else None,
        "error": occurrence.error,
        "created_at": moment(occurrence.created_at),
    }
