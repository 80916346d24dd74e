"""The log: `/api/v1/events/` and `/api/v1/tasks/{id}/events/`."""

from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.api import filters
from tasks_app.api.pagination import Orderings, comes_after, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.task import TaskSerializer
from tasks_app.api.workspace_view import WorkspaceView, listed
from tasks_app.events.catalogue import EventType
from tasks_app.events.wire import event_to_wire
from tasks_app.exceptions import NoLongerKept, NotFound
from tasks_app.models import Event, Task
from tasks_app.queries.kept import kept_from
from tasks_app.queries.snapshot import snapshot_at_head


class ActorSerializer(serializers.Serializer[Any]):
    """Who did it."""

    kind = serializers.ChoiceField(choices=["user", "api_key", "schedule", "system"])
    id = serializers.CharField(allow_blank=True)
    name = serializers.CharField()


class EventSerializer(serializers.Serializer[Any]):
    """One committed change or outcome."""

    seq = serializers.IntegerField(min_value=1)
    id = serializers.CharField()
    schema = serializers.IntegerField()
    type = serializers.ChoiceField(choices=[kind.value for kind in EventType])
    at = serializers.DateTimeField()
    actor = ActorSerializer()
    request_id = serializers.CharField(allow_blank=True)
    task = TaskSerializer(required=False)
    changes = serializers.DictField(
        child=serializers.ListField(min_length=2, max_length=2), required=False
    )
    delivery = serializers.DictField(required=False)
    destination = serializers.DictField(required=False)
    replay = serializers.DictField(required=False)
    schedule = serializers.DictField(required=False)
    workspace = serializers.DictField(required=False)
    member = serializers.DictField(required=False)
    invitation = serializers.DictField(required=False)
    api_key = serializers.DictField(required=False)

    def get_fields(self) -> dict[str, Any]:
        """Add ``import``, a word that Python keeps for itself."""
        return {**super().get_fields(), "import": serializers.DictField(required=False)}


FILTERS: Final = (
    filters.numbers(
        "after", lambda values: Q(seq__gt=max(values)), "Only events with a greater seq."
    ),
)
ORDERINGS: Final[Orderings] = {"seq": "seq"}
EventPage: Final = page_of(EventSerializer)


class EventView(WorkspaceView):
    """Read the log, oldest first."""

    capabilities = {"list": Capability.READ, "of_task": Capability.READ}

    @documented("events_list", EventPage, parameters=filters.parameters(FILTERS), also={410: None})
    def list(self, request: Request) -> Response:
        """List the workspace's events in the order in which they were committed.

        410 where what comes next after `after` or `cursor` is no longer kept: never a list with a
        hole. Without either the list begins with the oldest event that is kept.
        """
        kept = filters.filtered(request, FILTERS)
        events = Event.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            floor = kept_from(self.workspace_id)
            self._refuse_gone(request, floor)
            there = events.filter(seq__gte=floor)  # older rows may be there still, for a while
            found = page(request, there, orderings=ORDERINGS, default="seq", tell=event_to_wire)
        return listed(found, found.told, head)

    @documented("tasks_events", EventPage, parameters=filters.parameters(FILTERS))
    def of_task(self, request: Request, task_id: UUID) -> Response:
        """List a task's events, also after it was deleted."""
        kept = filters.filtered(request, FILTERS)
        told = Event.objects.in_workspace(self.workspace_id).filter(task_id=task_id)
        with snapshot_at_head(self.workspace_id) as head:
            rows = told.filter(kept, seq__gte=kept_from(self.workspace_id))
            found = page(request, rows, orderings=ORDERINGS, default="seq", tell=event_to_wire)
            if not (found.rows or told.exists() or self._exists(task_id)):
                raise NotFound
        return listed(found, found.told, head)

    def _refuse_gone(self, request: Request, floor: int) -> None:
        given = [int(value) for value in request.query_params.getlist("after")]
        is_descending = request.query_params.get("ordering", "").startswith("-")
        place = comes_after(request, orderings=ORDERINGS, default="seq")
        asked = [*given, *([] if place is None or is_descending else [place])]
        if asked and max(asked) < floor - 1:
            raise NoLongerKept(kept_from=floor)

    def _exists(self, task_id: UUID) -> bool:
        return Task.objects.in_workspace(self.workspace_id).filter(pk=task_id).exists()
