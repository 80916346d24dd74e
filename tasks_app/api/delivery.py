"""Deliveries: `/api/v1/deliveries/`."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.api import filters
from tasks_app.api.fields import NOTHING
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.snapshot import delivery_snapshot, moment
from tasks_app.events.wire import message_id
from tasks_app.exceptions import NotFound
from tasks_app.models import Attempt, Delivery, DeliveryState
from tasks_app.queries.snapshot import snapshot_at_head
from tasks_app.queries.twin import twins_of


class DeliverySerializer(serializers.Serializer[Any]):
    """One event for one destination. ``attempts`` counts those that have ended."""

    id = serializers.UUIDField()
    destination = serializers.UUIDField()
    task = serializers.UUIDField(allow_null=True)
    event = serializers.IntegerField(help_text="The event's seq.")
    sequence = serializers.IntegerField(help_text="webhook-sequence")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    replay = serializers.CharField(allow_blank=True, help_text="webhook-replay")
    twin = serializers.CharField(
        allow_null=True, help_text="The task's twin at a rest mirror, as it calls it now."
    )
    event_type = serializers.CharField()
    message_id = serializers.CharField(help_text="webhook-id, the same for every attempt.")
    behind = serializers.UUIDField(
        allow_null=True, help_text="The delivery before it in a chain, which must succeed first."
    )
    superseded_by = serializers.UUIDField(
        allow_null=True, help_text="The delivery of the newer state that went instead."
    )
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class AttemptSerializer(serializers.Serializer[Any]):
    """One try: when, how long in each phase, what came back."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    duration_ms = serializers.FloatField()
    phases = serializers.DictField(child=serializers.FloatField())
    failed_phase = serializers.CharField(allow_blank=True)
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    response_excerpt = serializers.CharField(allow_blank=True, help_text="The first 2 KiB.")


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with each of its attempts."""

    attempt_log = AttemptSerializer(many=True)


FILTERS: Final = (
    filters.words("state", DeliveryState.values, filters.within("state")),
    filters.ids("destination", "destination_id"),
    filters.ids("task", "task_id"),
    filters.numbers("event", filters.within("event_seq"), "The event's seq. Repeat for or."),
)
ORDERINGS: Final[Orderings] = {"id": "id"}
DeliveryPage: Final = page_of(DeliverySerializer)


class DeliveryView(WorkspaceView):
    """Read deliveries, retry and cancel them by hand."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "retry": Capability.MANAGE_DELIVERIES,
        "cancel": Capability.MANAGE_DELIVERIES,
    }

    @documented("deliveries_list", DeliveryPage, parameters=filters.parameters(FILTERS))
    def list(self, request: Request) -> Response:
        """List deliveries, newest first."""
        kept = filters.filtered(request, FILTERS)
        rows = Delivery.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, rows, orderings=ORDERINGS, default="-id")
        return listed(found, told_deliveries(found.rows), head)

    @documented("deliveries_retrieve", DeliveryDetailSerializer)
    def retrieve(self, request: Request, delivery_id: UUID) -> Response:
        """Show a delivery with its attempts."""
        with snapshot_at_head(self.workspace_id) as head:
            delivery = self._delivery(delivery_id)
            attempts = list(Attempt.objects.filter(delivery=delivery).order_by("number"))
        told = {**told_delivery(delivery), "attempt_log": [_told_attempt(a) for a in attempts]}
        return shown(told, head)

    @documented("deliveries_retry", DeliverySerializer, cursor=False, conflict="It did not end so.")
    def retry(self, request: Request, delivery_id: UUID) -> Response:
        """Send a dead or cancelled delivery once more; 409 in any other state."""
        NOTHING.read(request.data)
        delivery = retry_delivery(
            workspace_id=self.workspace_id, delivery_id=delivery_id, cause=self.cause
        )
        return Response(told_delivery(delivery))

    @documented("deliveries_cancel", DeliverySerializer, cursor=False, conflict="It does not wait.")
    def cancel(self, request: Request, delivery_id: UUID) -> Response:
        """Never send a delivery that waits; 409 where it is under way or has ended."""
        NOTHING.read(request.data)
        delivery = cancel_delivery(
            workspace_id=self.workspace_id, delivery_id=delivery_id, cause=self.cause
        )
        return Response(told_delivery(delivery))

    def _delivery(self, delivery_id: UUID) -> Delivery:
        rows = Delivery.objects.in_workspace(self.workspace_id)
        delivery = rows.filter(pk=delivery_id).first()
        if delivery is None:
            raise NotFound
        return delivery


def told_delivery(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as the API shows it."""
    return told_deliveries([delivery])[0]


def told_deliveries(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """Return deliveries as the API shows them, each with its task's twin, in one look-up."""
    twins = twins_of(deliveries)
    return [_told(one, twins.get((one.destination_id, one.task_id))) for one in deliveries]


def _told(delivery: Delivery, twin: str | None) -> dict[str, Any]:
    return {
        **delivery_snapshot(delivery),
        "twin": twin,
        "event_type": delivery.event_type,
        "message_id": message_id(delivery.message_id),
        "behind": str(delivery.behind) if delivery.behind else None,
        "superseded_by": str(delivery.superseded_by) if delivery.superseded_by else None,
        "created_at": moment(delivery.created_at),
        "ended_at": moment(delivery.ended_at),
    }


def _told_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": moment(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "phases": attempt.phases,
        "failed_phase": attempt.failed_phase,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "detail": attempt.detail,
        "response_excerpt": attempt.response_excerpt,
    }
