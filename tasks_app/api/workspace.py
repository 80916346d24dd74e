"""Workspaces: `/api/v1/workspaces/`. One's own, whether by a key of one or by a login."""

from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import User
from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import workspace as actions
from tasks_app.api import filters
from tasks_app.api.fields import Line, StrictSerializer, Text
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_auth import AccountPermission, user_id_of
from tasks_app.api.workspace_view import WorkspaceView, shown
from tasks_app.events.people import workspace_snapshot
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import NotFound
from tasks_app.models import Membership, Role
from tasks_app.models.workspace import SLUG_PATTERN, SLUG_RULE
from tasks_app.queries.snapshot import snapshot_at_head

SLUG: Final = RegexValidator(
    SLUG_PATTERN,
    SLUG_RULE,
    "invalid_slug",
)
ORDERINGS: Final[Orderings] = {"created_at": "workspace__created_at", "name": "workspace__name"}


class WorkspaceSerializer(StrictSerializer):
    """A tenant, and as what one is in it."""

    id = serializers.UUIDField(read_only=True)
    slug = Text(max_length=50, validators=[SLUG])
    name = Line(max_length=100)
    role = serializers.ChoiceField(choices=Role.choices, read_only=True, help_text="One's own.")
    created_at = serializers.DateTimeField(read_only=True)


WHOLE: Final = WorkspaceSerializer()
PART: Final = WorkspaceSerializer(partial=True)
WorkspacePage: Final = page_of(WorkspaceSerializer)


class WorkspacesView(WorkspaceView):
    """List one's own, open another; read, rename and delete one."""

    workspace_in_path = True
    permission_classes = (AccountPermission,)
    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.MANAGE_OWN,
        "partial_update": Capability.MANAGE_WORKSPACE,
        "destroy": Capability.MANAGE_WORKSPACE,
    }

    @documented(
        "workspaces_list", WorkspacePage, parameters=filters.parameters((), ORDERINGS), cursor=False
    )
    def list(self, request: Request) -> Response:
        """List one's workspaces: a key's is one, a login's are all of the user."""
        filters.filtered(request, ())
        rows = Membership.objects.at_work().filter(user_id=user_id_of(request))
        if self.principal.api_key_id is not None:
            rows = rows.filter(pk=self.principal.membership_id)
        found = page(
            request, rows.select_related("workspace"), orderings=ORDERINGS, default="created_at"
        )
        return Response(found.body([told_workspace(row) for row in found.rows]))

    @documented(
        "workspaces_create",
        WorkspaceSerializer,
        request=WorkspaceSerializer,
        status=201,
        example={"slug": "acme", "name": "Acme"},
    )
    def create(self, request: Request) -> Response:
        """Open a workspace; whoever does so owns it."""
        fields = WHOLE.read_new(request.data)
        owner = User.objects.get(pk=user_id_of(request))
        made = actions.open_workspace(**fields, owner=owner, cause=self.cause)
        member = Membership.objects.select_related("workspace").get(workspace=made, user=owner)
        location = request.build_absolute_uri(f"{request.path}{made.pk}/")
        return Response(told_workspace(member), status=201, headers={"Location": location})

    @documented("workspaces_retrieve", WorkspaceSerializer)
    def retrieve(self, request: Request, workspace_id: UUID) -> Response:
        """Show a workspace."""
        self._check(workspace_id)
        with snapshot_at_head(workspace_id) as head:
            member = self._member()
        return shown(told_workspace(member), head)

    @documented(
        "workspaces_partial_update",
        WorkspaceSerializer,
        request=WorkspaceSerializer,
        cursor=False,
    )
    def partial_update(self, request: Request, workspace_id: UUID) -> Response:
        """Rename a workspace. Links that name the old slug lead nowhere."""
        self._check(workspace_id)
        fields, echoed = PART.read(request.data)
        echoed.pop("role", None)  # of whoever read it
        actions.change_workspace(
            workspace_id=workspace_id, fields=fields, cause=self.cause, echoed=echoed
        )
        return Response(told_workspace(self._member()))

    @documented("workspaces_destroy", None, status=204)
    def destroy(self, request: Request, workspace_id: UUID) -> Response:
        """Delete a workspace with all that is in it: at once closed to all, then erased."""
        self._check(workspace_id)
        actions.delete_workspace(workspace_id=workspace_id, cause=self.cause)
        return Response(status=204)

    def _check(self, workspace_id: UUID) -> None:
        if self.workspace_id != workspace_id:
            raise NotFound("There is no such workspace.")

    def _member(self) -> Membership:
        rows = Membership.objects.select_related("workspace")
        member = rows.filter(pk=self.principal.membership_id).first()
        if member is None:
            raise NotFound
        return member


def told_workspace(member: Membership) -> dict[str, Any]:
    """Return a member's workspace as the API shows it to them."""
    return {
        **workspace_snapshot(member.workspace),
        "role": member.role,
        "created_at": moment(member.workspace.created_at),
    }
