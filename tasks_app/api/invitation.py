"""Invitations: `/api/v1/invitations/`. Only owners see them; only the mail has the link."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.core.validators import EmailValidator
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import invitation as actions
from tasks_app.api import filters
from tasks_app.api.fields import NOTHING, StrictSerializer, Text, Word
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import NotFound
from tasks_app.models import Invitation, Role
from tasks_app.queries.snapshot import snapshot_at_head

OVER: Final = "It was used or revoked, or was sent too often."
TOO_MANY: Final = "Too many are open, or the address has had too many this week."
STATES: Final = ("open", "expired", "accepted", "revoked")


class InvitationSerializer(StrictSerializer):
    """Somebody who may join by the link that was mailed to them."""

    id = serializers.UUIDField(read_only=True)
    email = Text(max_length=254, validators=[EmailValidator()])
    role = Word(choices=Role.choices, default=Role.MEMBER.value)
    state = serializers.ChoiceField(choices=[(one, one) for one in STATES], read_only=True)
    invited_by = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)


def _in_state(values: Sequence[str]) -> Q:
    waits = Q(accepted_at=None, revoked_at=None)
    kept = {
        "open": waits & Q(expires_at__gt=Now()),
        "expired": waits & Q(expires_at__lte=Now()),
        "accepted": Q(accepted_at__isnull=False),
        "revoked": Q(revoked_at__isnull=False),
    }
    found = Q(pk__in=[])
    for value in values:
        found |= kept[value]
    return found


FILTERS: Final = (filters.words("state", STATES, _in_state),)
ORDERINGS: Final[Orderings] = {"created_at": "created_at", "email": "email"}
WHOLE: Final = InvitationSerializer()
InvitationPage: Final = page_of(InvitationSerializer)


class InvitationView(WorkspaceView):
    """Invite, send anew, revoke."""

    capabilities = dict.fromkeys(
        ("list", "retrieve", "create", "resend", "destroy"), Capability.MANAGE_MEMBERS
    )

    @documented(
        "invitations_list", InvitationPage, parameters=filters.parameters(FILTERS, ORDERINGS)
    )
    def list(self, request: Request) -> Response:
        """List invitations, newest first."""
        kept = filters.filtered(request, FILTERS)
        rows = Invitation.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, rows, orderings=ORDERINGS, default="-created_at")
        return listed(found, [told_invitation(row) for row in found.rows], head)

    @documented("invitations_retrieve", InvitationSerializer)
    def retrieve(self, request: Request, invitation_id: UUID) -> Response:
        """Show an invitation."""
        rows = Invitation.objects.in_workspace(self.workspace_id)
        with snapshot_at_head(self.workspace_id) as head:
            invitation = rows.filter(pk=invitation_id).first()
        if invitation is None:
            raise NotFound
        return shown(told_invitation(invitation), head)

    @documented(
        "invitations_create",
        InvitationSerializer,
        request=InvitationSerializer,
        status=201,
        example={"email": "olga@example.org", "role": "member"},
        conflict=TOO_MANY,
    )
    def create(self, request: Request) -> Response:
        """Invite an address: it is mailed a link that holds for seven days and is used once."""
        invitation = invited(self, request)
        location = request.build_absolute_uri(f"{request.path}{invitation.pk}/")
        return Response(told_invitation(invitation), status=201, headers={"Location": location})

    @documented("invitations_resend", InvitationSerializer, cursor=False, conflict=OVER)
    def resend(self, request: Request, invitation_id: UUID) -> Response:
        """Send it anew, for seven days from now; the earlier link dies."""
        NOTHING.read(request.data)
        invitation = actions.resend(
            workspace_id=self.workspace_id, invitation_id=invitation_id, cause=self.cause
        )
        return Response(told_invitation(invitation))

    @documented("invitations_destroy", None, status=204, conflict="It was used.")
    def destroy(self, request: Request, invitation_id: UUID) -> Response:
        """Revoke an invitation: its link dies."""
        actions.revoke_invitation(
            workspace_id=self.workspace_id, invitation_id=invitation_id, cause=self.cause
        )
        return Response(status=204)


def invited(view: WorkspaceView, request: Request) -> Invitation:
    """Invite whom the body names."""
    fields = WHOLE.read_new(request.data)
    by = view.principal.membership_id
    at = view.workspace_id
    return actions.invite(workspace_id=at, **fields, cause=view.cause, inviter_id=by)


def told_invitation(invitation: Invitation) -> dict[str, Any]:
    """Return an invitation as the API shows it."""
    return {
        "id": str(invitation.pk),
        "email": invitation.email,
        "role": invitation.role,
        "state": _state(invitation),
        "invited_by": invitation.invited_by,
        "created_at": moment(invitation.created_at),
        "expires_at": moment(invitation.expires_at),
    }


def _state(invitation: Invitation) -> str:
    if invitation.accepted_at is not None:
        return "accepted"
    if invitation.revoked_at is not None:
        return "revoked"
    return "open" if invitation.expires_at > timezone.now() else "expired"
