"""Tasks: `/api/v1/tasks/`."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import and_, or_
from typing import Any, Final
from uuid import UUID

import orjson
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.api import filters
from tasks_app.api.concurrency import etag, expected_versions
from tasks_app.api.fields import Distinct, Line, Moment, Prose, StrictSerializer, Text, Word
from tasks_app.api.json_input import depth
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.snapshot import task_snapshot
from tasks_app.exceptions import NotFound
from tasks_app.models import Priority, Status, SyncState, Task, TaskSync
from tasks_app.models.task import DESCRIPTION_MAX, LABEL_MAX, LABELS_MAX, TITLE_MAX
from tasks_app.queries.snapshot import snapshot_at_head

METADATA_BYTES: Final = 16 * 1024
METADATA_LEVELS: Final = 10
FAR: Final = datetime(9999, 12, 31, tzinfo=UTC)


class Metadata(serializers.JSONField):
    """Any JSON object of at most 16 KiB and 10 levels."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the object."""
        if not isinstance(data, dict):
            raise ValidationError("This must be a JSON object.", "not_an_object")
        if depth(data) > METADATA_LEVELS:
            raise ValidationError(f"There are at most {METADATA_LEVELS} levels.", "too_deep")
        if len(orjson.dumps(data)) > METADATA_BYTES:
            raise ValidationError(f"At most {METADATA_BYTES} bytes as JSON.", "too_large")
        return data


class TaskSerializer(StrictSerializer):
    """A unit of work the team tracks."""

    id = serializers.UUIDField(read_only=True)
    number = serializers.IntegerField(read_only=True)
    external_id = Text(max_length=200, allow_null=True, default=None)
    title = Line(max_length=TITLE_MAX)
    description = Prose(max_length=DESCRIPTION_MAX, allow_blank=True, default="")
    status = Word(choices=Status.choices, default=Status.OPEN.value)
    priority = Word(choices=Priority.choices, default=Priority.NORMAL.value)
    assignee = Line(max_length=150, allow_blank=True, default="")
    due_at = Moment(allow_null=True, default=None)
    labels = Distinct(child=Line(max_length=LABEL_MAX), max_length=LABELS_MAX, default=list)
    metadata = Metadata(default=dict)
    version = serializers.IntegerField(read_only=True)
    sync = serializers.ChoiceField(choices=SyncState.choices, read_only=True)
    created_by = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


WHOLE: Final = TaskSerializer()
PART: Final = TaskSerializer(partial=True)


def _matches(values: Sequence[str]) -> Q:
    """Keep tasks in whose texts all words of any of the searches occur, in any case.

    A search without words keeps all: a search box that nobody has typed into yet.
    """
    searches = [search.split()[:8] for search in values]
    if not all(searches):
        return Q()
    return reduce(or_, (reduce(and_, map(_occurs, words)) for words in searches))


def _occurs(word: str) -> Q:
    return Q(title__icontains=word) | Q(description__icontains=word) | _named(word)


def _named(word: str) -> Q:
    named = Q(external_id__icontains=word)
    number = re.fullmatch("#?([0-9]{1,18})", word)
    return named | Q(number=int(number[1])) if number else named


def _in_sync(values: Sequence[str]) -> Q:
    return Q(Exists(TaskSync.objects.filter(task_id=OuterRef("pk"), state__in=values)))


FILTERS: Final = (
    filters.words("status", Status.values, filters.within("status")),
    filters.words("priority", Priority.values, filters.within("priority")),
    filters.text("assignee", filters.within("assignee"), "Empty: nobody. Repeat for or."),
    filters.text("label", lambda values: Q(labels__overlap=list(values))),
    filters.words("sync", SyncState.values, _in_sync),
    filters.text("external_id", filters.within("external_id")),
    filters.moments("created_after", "created_at__gt"),
    filters.moments("created_before", "created_at__lt"),
    filters.moments("updated_after", "updated_at__gt"),
    filters.moments("updated_before", "updated_at__lt"),
    filters.moments("due_before", "due_at__lt"),
    filters.text("search", _matches, "Words of title, description, external id, or #number."),
)
ORDERINGS: Final[Orderings] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "number": "number",
    "title": "title",
    "due_at": Coalesce("due_at", Value(FAR)),  # without a due time: after all others
    "priority": Case(
        *(When(priority=word, then=Value(i)) for i, word in enumerate(Priority.values))
    ),
}

TaskPage: Final = page_of(TaskSerializer)


class TaskView(WorkspaceView):
    """Create, read, change and delete tasks."""

    form = WHOLE
    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.WRITE_TASKS,
        "update": Capability.WRITE_TASKS,
        "partial_update": Capability.WRITE_TASKS,
        "destroy": Capability.WRITE_TASKS,
    }

    @documented("tasks_list", TaskPage, parameters=filters.parameters(FILTERS, ORDERINGS))
    def list(self, request: Request) -> Response:
        """List tasks, newest first."""
        kept = filters.filtered(request, FILTERS)
        tasks = Task.objects.in_workspace(self.workspace_id).filter(kept).with_sync()
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, tasks, orderings=ORDERINGS, default="-created_at", tell=told_task)
        return listed(found, found.told, head)

    @documented(
        "tasks_create",
        TaskSerializer,
        request=TaskSerializer,
        status=201,
        tag=True,
        example={"title": "Renew the certificate", "priority": "high", "labels": ["ops"]},
    )
    def create(self, request: Request) -> Response:
        """Create a task; 201 as soon as it is on disk, with its event and its deliveries."""
        fields = WHOLE.read_new(request.data)
        task = create_task(workspace_id=self.workspace_id, fields=fields, cause=self.cause)
        location = request.build_absolute_uri(f"{request.path}{task.pk}/")
        headers = {"ETag": etag(task.version), "Location": location}
        return Response(told_task(task), status=201, headers=headers)

    @documented("tasks_retrieve", TaskSerializer, tag=True)
    def retrieve(self, request: Request, task_id: UUID) -> Response:
        """Show a task."""
        tasks = Task.objects.in_workspace(self.workspace_id).with_sync()
        with snapshot_at_head(self.workspace_id) as head:
            task = tasks.filter(pk=task_id).first()
        if task is None:
            raise NotFound
        return shown(told_task(task), head, ETag=etag(task.version))

    @documented(
        "tasks_update",
        TaskSerializer,
        request=TaskSerializer,
        tag=True,
        if_match=True,
        cursor=False,
    )
    def update(self, request: Request, task_id: UUID) -> Response:
        """Replace a task: what is not given becomes its default."""
        return self._change(request, task_id, WHOLE)

    @documented(
        "tasks_partial_update",
        TaskSerializer,
        request=TaskSerializer,
        tag=True,
        if_match=True,
        cursor=False,
    )
    def partial_update(self, request: Request, task_id: UUID) -> Response:
        """Change the fields that are given."""
        return self._change(request, task_id, PART)

    @documented("tasks_destroy", None, status=204, if_match=True)
    def destroy(self, request: Request, task_id: UUID) -> Response:
        """Delete a task; its log stays."""
        delete_task(
            workspace_id=self.workspace_id,
            task_id=task_id,
            cause=self.cause,
            if_version=expected_versions(request.META.get("HTTP_IF_MATCH")),
        )
        return Response(status=204)

    def _change(self, request: Request, task_id: UUID, reader: TaskSerializer) -> Response:
        versions = expected_versions(request.META.get("HTTP_IF_MATCH"))
        fields, echoed = reader.read(request.data)
        drop_known_sync(echoed)
        task = update_task(
            workspace_id=self.workspace_id,
            task_id=task_id,
            fields=fields,
            cause=self.cause,
            if_version=versions,
            echoed=echoed,
        )
        return Response(told_task(task), headers={"ETag": etag(task.version)})


def told_task(task: Task) -> dict[str, Any]:
    """Return a task as answers show it."""
    return task_snapshot(task, task.sync_state)


def drop_known_sync(echoed: dict[str, Any]) -> None:
    """Let any known ``sync`` pass: it moves by itself between a client's reading and writing."""
    if "sync" in echoed and echoed.pop("sync") not in SyncState.values:
        wrong = ErrorDetail("This field is read-only.", "read_only")
        raise ValidationError({"sync": [wrong]})
