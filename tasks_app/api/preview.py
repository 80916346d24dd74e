"""`/api/v1/destinations/preview/`: what a destination would be sent, without making or sending."""

from typing import Any, Final

import orjson
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.destination_kind import event_to_try, refuse_misfit
from tasks_app.api.fields import Distinct, StrictSerializer, WholeNumber, Word
from tasks_app.api.outbound_fields import KINDS, Mapping
from tasks_app.api.schema import documented
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.connectors.mapping import MappingError
from tasks_app.connectors.registry import connector_for
from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.models.destination import default_events


class PreviewRequestSerializer(StrictSerializer):
    """A destination that need not exist, and the event to try it on."""

    kind = Word(choices=KINDS, default="webhook")
    mapping = Mapping(default=None, allow_null=True)
    events = Distinct(
        child=Word(choices=["*", *sorted(SUBSCRIBABLE)]),
        default=default_events,
        allow_empty=False,
        max_length=20,
    )
    event = WholeNumber(
        min_value=1, default=None, allow_null=True, help_text="A seq; null: the last one wanted."
    )


class PreviewSerializer(serializers.Serializer[Any]):
    """The body as it would be sent."""

    event = serializers.IntegerField(allow_null=True, help_text="Its seq; null: a sample.")
    event_type = serializers.CharField()
    content_type = serializers.CharField()
    bytes = serializers.IntegerField()
    body = serializers.JSONField(help_text="JSON, or a text where content_type says so.")


WANTED: Final = PreviewRequestSerializer()


class PreviewView(WorkspaceView):
    """Try a mapping."""

    capabilities = {"create": Capability.MANAGE_DESTINATIONS}

    @documented(
        "destinations_preview",
        PreviewSerializer,
        request=PreviewRequestSerializer,
        cursor=False,
        example={"mapping": "{text: join(' ', ['Task', task.title])}"},
    )
    def create(self, request: Request) -> Response:
        """Show what would be sent for an event of this workspace, or for a sample."""
        wanted = WANTED.read_new(request.data)
        connector = connector_for(wanted["kind"])
        refuse_misfit(connector, wanted)
        event = event_to_try(
            workspace_id=self.workspace_id, events=wanted["events"], seq=wanted["event"]
        )
        try:
            body = connector.compose(event, mapping=wanted["mapping"] or "")
        except MappingError as error:
            wrong = FieldError("/mapping", "mapping_failed", str(error))
            raise Invalid(errors=(wrong,)) from error
        is_json = connector.content_type == "application/json"
        return Response(
            {
                "event": event.get("seq"),
                "event_type": event["type"],
                "content_type": connector.content_type,
                "bytes": len(body),
                "body": orjson.loads(body) if is_json else body.decode(),
            }
        )
