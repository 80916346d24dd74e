"""Members: `/api/v1/members/`. Adding one is inviting one."""

from typing import Any, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import member as actions
from tasks_app.api import filters
from tasks_app.api.fields import NOTHING, StrictSerializer, Word
from tasks_app.api.invitation import TOO_MANY, InvitationSerializer, invited, told_invitation
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.people import member_snapshot
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import NotFound
from tasks_app.models import Membership, Role
from tasks_app.queries.snapshot import snapshot_at_head

LAST_OWNER: Final = "A workspace keeps at least one owner."


class MemberSerializer(StrictSerializer):
    """A user in a workspace, as what."""

    id = serializers.UUIDField(read_only=True)
    user = serializers.CharField(read_only=True)
    email = serializers.CharField(
        read_only=True, allow_null=True, help_text="Only for who manages members."
    )
    role = Word(choices=Role.choices)
    created_at = serializers.DateTimeField(read_only=True)


FILTERS: Final = (
    filters.words("role", Role.values, filters.within("role")),
    filters.text("user", filters.within("user__username")),
)
ORDERINGS: Final[Orderings] = {"created_at": "created_at", "user": "user__username"}
PART: Final = MemberSerializer(partial=True)
MemberPage: Final = page_of(MemberSerializer)


class MemberView(WorkspaceView):
    """List members, invite further ones, change roles, remove, leave."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.MANAGE_MEMBERS,
        "partial_update": Capability.MANAGE_MEMBERS,
        "destroy": Capability.MANAGE_MEMBERS,
        "leave": Capability.MANAGE_OWN,
    }

    @documented("members_list", MemberPage, parameters=filters.parameters(FILTERS, ORDERINGS))
    def list(self, request: Request) -> Response:
        """List members, the oldest first."""
        kept = filters.filtered(request, FILTERS)
        rows = Membership.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(
                request, rows.select_related("user"), orderings=ORDERINGS, default="created_at"
            )
        return listed(found, [self._told(row) for row in found.rows], head)

    @documented("members_retrieve", MemberSerializer)
    def retrieve(self, request: Request, member_id: UUID) -> Response:
        """Show a member."""
        rows = Membership.objects.in_workspace(self.workspace_id).select_related("user")
        with snapshot_at_head(self.workspace_id) as head:
            member = rows.filter(pk=member_id).first()
        if member is None:
            raise NotFound
        return shown(self._told(member), head)

    @documented(
        "members_create",
        InvitationSerializer,
        request=InvitationSerializer,
        status=202,
        example={"email": "olga@example.org", "role": "member"},
        conflict=TOO_MANY,
    )
    def create(self, request: Request) -> Response:
        """Invite somebody: they are a member once they have used the link that is mailed."""
        return Response(told_invitation(invited(self, request)), status=202)

    @documented(
        "members_partial_update",
        MemberSerializer,
        request=MemberSerializer,
        cursor=False,
        conflict=LAST_OWNER,
    )
    def partial_update(self, request: Request, member_id: UUID) -> Response:
        """Give a member another role; a lower one lowers their keys at once."""
        fields, echoed = PART.read(request.data)
        member = actions.change_role(
            workspace_id=self.workspace_id,
            membership_id=member_id,
            role=fields.get("role"),
            cause=self.cause,
            echoed=echoed,
        )
        return Response(self._told(member))

    @documented("members_destroy", None, status=204, conflict=LAST_OWNER)
    def destroy(self, request: Request, member_id: UUID) -> Response:
        """Remove a member; their keys die and their streams close."""
        self._end(member_id)
        return Response(status=204)

    @documented("members_leave", None, status=204, conflict=LAST_OWNER)
    def leave(self, request: Request) -> Response:
        """Leave the workspace."""
        NOTHING.read(request.data)
        self._end(self.principal.membership_id)
        return Response(status=204)

    def _end(self, member_id: UUID) -> None:
        actions.remove_member(
            workspace_id=self.workspace_id, membership_id=member_id, cause=self.cause
        )

    def _told(self, member: Membership) -> dict[str, Any]:
        shows_mail = self.may(Capability.MANAGE_MEMBERS)
        return {
            **member_snapshot(member),
            "email": member.user.email if shows_mail else None,
            "created_at": moment(member.created_at),
        }
