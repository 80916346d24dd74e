"""How the workspace stands: `/api/v1/stats/`."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.api import filters
from tasks_app.api.schema import documented
from tasks_app.api.workspace_view import WorkspaceView, shown
from tasks_app.events.snapshot import moment
from tasks_app.models import CircuitState, Destination, DestinationState, Status, SyncState
from tasks_app.queries.backlog import Backlog, backlogs
from tasks_app.queries.delivery_stats import SPANS, Count, attempt_counts, summary
from tasks_app.queries.snapshot import snapshot_at_head
from tasks_app.queries.workspace_stats import database_now, tasks_by_status, tasks_by_sync


def _counts(name: str, words: Iterable[str]) -> serializers.Serializer[Any]:
    members: dict[str, Any] = {word: serializers.IntegerField() for word in words}
    members["__doc__"] = "How many tasks."
    made: type[serializers.Serializer[Any]] = type(name, (serializers.Serializer,), members)
    return made()


class TaskStatsSerializer(serializers.Serializer[Any]):
    """Tasks, counted."""

    total = serializers.IntegerField()
    by_status = _counts("TasksByStatusSerializer", Status.values)
    by_sync = _counts("TasksBySyncSerializer", SyncState.values)


class BacklogStatsSerializer(serializers.Serializer[Any]):
    """What waits to be delivered."""

    pending = serializers.IntegerField(help_text="Deliveries that have not ended.")
    oldest_due_at = serializers.DateTimeField(allow_null=True, help_text="Of what may go next.")
    oldest_due_age = serializers.FloatField(
        allow_null=True, help_text="Seconds that it has been due; null where nothing is due."
    )


class AttemptStatsSerializer(serializers.Serializer[Any]):
    """Attempts that ended in a span of time: durations within 5 %, the span within 5 minutes."""

    attempts = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    success_rate = serializers.FloatField(allow_null=True, help_text="0 to 1; null without any.")
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class DestinationStatsSerializer(BacklogStatsSerializer):
    """One destination."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=DestinationState.choices)
    circuit = serializers.ChoiceField(choices=CircuitState.choices)
    hour = AttemptStatsSerializer()
    day = AttemptStatsSerializer()


class StatsSerializer(serializers.Serializer[Any]):
    """How the workspace stands."""

    at = serializers.DateTimeField()
    tasks = TaskStatsSerializer()
    backlog = BacklogStatsSerializer()
    hour = AttemptStatsSerializer()
    day = AttemptStatsSerializer()
    destinations = DestinationStatsSerializer(many=True)


class StatsView(WorkspaceView):
    """Count."""

    capabilities = {"retrieve": Capability.READ}

    @documented("stats_retrieve", StatsSerializer)
    def retrieve(self, request: Request) -> Response:
        """Count tasks by status and sync, what waits, and the attempts of the last hour and day."""
        filters.filtered(request, ())
        with snapshot_at_head(self.workspace_id) as head:
            now = database_now()
            status, sync = tasks_by_status(self.workspace_id), tasks_by_sync(self.workspace_id)
            rows = list(Destination.objects.in_workspace(self.workspace_id).order_by("created_at"))
            waiting = backlogs([row.pk for row in rows])
            counts = attempt_counts([row.pk for row in rows])
        by_destination: dict[UUID, list[Count]] = {}
        for count in counts:
            by_destination.setdefault(count.destination_id, []).append(count)
        told = {
            "at": moment(now),
            "tasks": {"total": sum(status.values()), "by_status": status, "by_sync": sync},
            "backlog": _backlog(_all(waiting.values()), now),
            **_attempts(counts),
            "destinations": [
                {
                    **_named(row, waiting.get(row.pk, Backlog()), now),
                    **_attempts(by_destination.get(row.pk, [])),
                }
                for row in rows
            ],
        }
        return shown(told, head)


def _all(waiting: Collection[Backlog]) -> Backlog:
    due = [one.oldest_due_at for one in waiting if one.oldest_due_at]
    return Backlog(sum(one.pending for one in waiting), min(due, default=None))


def _named(row: Destination, waiting: Backlog, now: datetime) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "state": row.state,
        "circuit": waiting.circuit,
        **_backlog(waiting, now),
    }


def _backlog(waiting: Backlog, now: datetime) -> dict[str, Any]:
    due = waiting.oldest_due_at
    age = (now - due).total_seconds() if due else -1.0
    return {
        "pending": waiting.pending,
        "oldest_due_at": moment(due),
        "oldest_due_age": age if age >= 0 else None,
    }


def _attempts(counts: Iterable[Count]) -> dict[str, Any]:
    listed = list(counts)
    return {span: summary(one for one in listed if one.span == span) for span in SPANS}
