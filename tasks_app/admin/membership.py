"""Members: who belongs to a workspace, and as what. Others are invited through the API."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.actions.member import change_role, remove_member
from tasks_app.actions.workspace import locked_workspace
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.recorded import RecordedAdmin
from tasks_app.admin.seen import SeenForm, digest_of, refuse_unseen, seen_on_asking
from tasks_app.admin.site import site
from tasks_app.exceptions import NotFound
from tasks_app.models import Membership

SHOWS: Final = ("role",)


class MembershipForm(SeenForm):
    """The role, and what it was."""

    shows = SHOWS

    class Meta:
        model = Membership
        fields = ["role"]


@admin.register(Membership, site=site)
class MembershipAdmin(RecordedAdmin):
    """Who is what. A workspace keeps at least one owner."""

    form = MembershipForm
    changes = deletes = Capability.MANAGE_MEMBERS
    finders = (by_id("pk", "workspace_id"), beginning("user__username"))
    search_help_text = "The beginning of a user's name, or the id of a membership or a workspace"
    list_display = ("user", "where", "role", "created_at")
    list_select_related = ("user",)
    list_filter = ("role",)
    readonly_fields = ("user", "where", "created_at")
    asks = "They are out at once, and their keys in this workspace are gone. Its log stays."

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is typed among what is told."""
        seen = ["seen"] if self.has_change_permission(request, obj) else []
        return ["user", "where", "role", "created_at", *seen]

    def seen(self, obj: Membership) -> str:
        """Return a digest of what is shown."""
        return digest_of(obj, SHOWS)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        """Change the role. Raises StaleVersion, LastOwner and NotFound."""
        _refuse_unseen(obj, form.cleaned_data["seen"])
        change_role(
            workspace_id=obj.workspace_id,
            membership_id=obj.pk,
            role=form.cleaned_data["role"],
            cause=cause_of(request),
        )

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Remove the member, keys and all. Raises StaleVersion, LastOwner and NotFound."""
        _refuse_unseen(obj, seen_on_asking(request, obj))
        remove_member(workspace_id=obj.workspace_id, membership_id=obj.pk, cause=cause_of(request))


def _refuse_unseen(obj: Membership, seen: str) -> None:
    """Look with the workspace's row locked, behind which every change of its members waits."""
    locked_workspace(obj.workspace_id)
    now = Membership.objects.filter(pk=obj.pk).first()
    if now is None:
        raise NotFound
    refuse_unseen(now, SHOWS, seen)
