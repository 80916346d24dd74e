"""Destinations: `/api/v1/destinations/`. A secret is shown once, on creation and on rotation."""

from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import destination as actions
from tasks_app.api import filters
from tasks_app.api.delivery import DeliverySerializer, told_delivery
from tasks_app.api.destination_fields import (
    PART,
    RESTLESS,
    WHOLE,
    DestinationSerializer,
    DestinationWithSecretSerializer,
    masked,
    told_destination,
)
from tasks_app.api.fields import NOTHING
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.exceptions import NotFound
from tasks_app.models import Destination, DestinationState
from tasks_app.queries.backlog import Backlog, backlogs
from tasks_app.queries.snapshot import snapshot_at_head

ORDERINGS: Final[Orderings] = {"created_at": "created_at", "name": "name"}
FILTERS: Final = (
    filters.words("state", DestinationState.values, filters.within("state")),
    filters.text("name", filters.within("name")),
)
DestinationPage: Final = page_of(DestinationSerializer)


class DestinationView(WorkspaceView):
    """Create, read, change, delete, pause, resume, test; rotate the secret."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.MANAGE_DESTINATIONS,
        "partial_update": Capability.MANAGE_DESTINATIONS,
        "destroy": Capability.MANAGE_DESTINATIONS,
        "pause": Capability.MANAGE_DESTINATIONS,
        "resume": Capability.MANAGE_DESTINATIONS,
        "rotate_secret": Capability.MANAGE_DESTINATIONS,
        "ping": Capability.MANAGE_DESTINATIONS,
    }

    shows_secret = frozenset({"create", "rotate_secret"})

    @documented(
        "destinations_list", DestinationPage, parameters=filters.parameters(FILTERS, ORDERINGS)
    )
    def list(self, request: Request) -> Response:
        """List destinations with what waits for them."""
        kept = filters.filtered(request, FILTERS)
        rows = Destination.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, rows, orderings=ORDERINGS, default="created_at")
            waiting = backlogs([row.pk for row in found.rows])
        told = [self._told(row, waiting.get(row.pk, Backlog())) for row in found.rows]
        return listed(found, told, head)

    @documented(
        "destinations_create",
        DestinationWithSecretSerializer,
        request=DestinationSerializer,
        status=201,
        example={"name": "CRM", "url": "https://crm.example.org/hooks", "events": ["*"]},
    )
    def create(self, request: Request) -> Response:
        """Create a destination; the answer shows its secret this once."""
        fields = WHOLE.read_new(request.data)
        destination, secret = actions.create_destination(
            workspace_id=self.workspace_id, fields=fields, cause=self.cause
        )
        location = request.build_absolute_uri(f"{request.path}{destination.pk}/")
        body = {**self._told(destination, Backlog()), "secret": secret or None}
        return Response(body, status=201, headers={"Location": location})

    @documented("destinations_retrieve", DestinationSerializer)
    def retrieve(self, request: Request, destination_id: UUID) -> Response:
        """Show a destination."""
        rows = Destination.objects.in_workspace(self.workspace_id)
        with snapshot_at_head(self.workspace_id) as head:
            destination = rows.filter(pk=destination_id).first()
            waiting = backlogs([destination_id])
        if destination is None:
            raise NotFound
        return shown(self._told(destination, waiting.get(destination_id, Backlog())), head)

    @documented(
        "destinations_partial_update",
        DestinationSerializer,
        request=DestinationSerializer,
        cursor=False,
    )
    def partial_update(self, request: Request, destination_id: UUID) -> Response:
        """Change the fields that are given; what waits goes out by the new settings."""
        fields, echoed = PART.read(request.data)
        destination = actions.change_destination(
            **self._at(destination_id),
            fields=fields,
            echoed={name: value for name, value in echoed.items() if name not in RESTLESS},
        )
        return Response(self._now(destination))

    @documented("destinations_destroy", None, status=204)
    def destroy(self, request: Request, destination_id: UUID) -> Response:
        """Delete a destination; what waits for it is cancelled, and the log says so."""
        actions.delete_destination(**self._at(destination_id))
        return Response(status=204)

    @documented("destinations_pause", DestinationSerializer, cursor=False)
    def pause(self, request: Request, destination_id: UUID) -> Response:
        """Stop sending; what is due waits, and nothing is dropped."""
        NOTHING.read(request.data)
        return Response(self._now(actions.pause_destination(**self._at(destination_id))))

    @documented("destinations_resume", DestinationSerializer, cursor=False)
    def resume(self, request: Request, destination_id: UUID) -> Response:
        """Send what waits, in order."""
        NOTHING.read(request.data)
        return Response(self._now(actions.resume_destination(**self._at(destination_id))))

    @documented(
        "destinations_rotate_secret",
        DestinationWithSecretSerializer,
        cursor=False,
        conflict="Its kind signs nothing.",
    )
    def rotate_secret(self, request: Request, destination_id: UUID) -> Response:
        """Make a new secret, shown this once; the old one signs too for 24 h."""
        NOTHING.read(request.data)
        destination, secret = actions.rotate_secret(**self._at(destination_id))
        return Response({**self._now(destination), "secret": secret})

    @documented("destinations_test", DeliverySerializer, status=202)
    def ping(self, request: Request, destination_id: UUID) -> Response:
        """Queue a `ping` for this destination alone."""
        NOTHING.read(request.data)
        delivery = actions.ping_destination(**self._at(destination_id))
        return Response(told_delivery(delivery), status=202)

    def _at(self, destination_id: UUID) -> dict[str, Any]:
        return {
            "workspace_id": self.workspace_id,
            "destination_id": destination_id,
            "cause": self.cause,
        }

    def _now(self, destination: Destination) -> dict[str, Any]:
        waiting = backlogs([destination.pk])
        return self._told(destination, waiting.get(destination.pk, Backlog()))

    def _told(self, destination: Destination, backlog: Backlog) -> dict[str, Any]:
        told = told_destination(destination, backlog)
        return told if self.may(Capability.MANAGE_DESTINATIONS) else masked(told)
