"""Tickets for the stream: `/api/v1/stream/ticket/`."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.stream_ticket import create_ticket
from tasks_app.api.fields import NOTHING
from tasks_app.api.schema import documented
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.events.snapshot import moment


class TicketSerializer(serializers.Serializer[Any]):
    """Opens one stream once."""

    ticket = serializers.CharField()
    expires_at = serializers.DateTimeField()
    url = serializers.CharField(help_text="The stream's address, with the ticket in it.")


class StreamTicketView(WorkspaceView):
    """Hand out tickets."""

    capabilities = {"create": Capability.READ}
    shows_secret = frozenset({"create"})

    @documented("stream_ticket", TicketSerializer, status=201)
    def create(self, request: Request) -> Response:
        """Make a one-use ticket, good for 30 s, for a WebSocket that can't send the header."""
        NOTHING.read(request.data)
        who = self.principal
        ticket, expires_at = create_ticket(
            membership_id=who.membership_id,
            api_key_id=who.api_key_id,
            session_key=who.session_key,
        )
        scheme = "wss" if request.is_secure() else "ws"
        url = f"{scheme}://{request.get_host()}/ws/tasks?ticket={ticket}"
        body = {"ticket": ticket, "expires_at": moment(expires_at), "url": url}
        return Response(body, status=201)
