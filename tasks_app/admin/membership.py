"""Members: who belongs to a workspace, and as what. Others are invited through the API."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.actions.member import change_role, remove_member
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.recorded import RecordedAdmin
from tasks_app.admin.site import site
from tasks_app.models import Membership


@admin.register(Membership, site=site)
class MembershipAdmin(RecordedAdmin):
    """Who is what. A workspace keeps at least one owner."""

    changes = deletes = Capability.MANAGE_MEMBERS
    finders = (by_id("pk", "workspace_id"), beginning("user__username"))
    search_help_text = "The beginning of a user's name, or the id of a membership or a workspace"
    list_display = ("user", "where", "role", "created_at")
    list_select_related = ("user",)
    list_filter = ("role",)
    fields = ("user", "where", "role", "created_at")
    readonly_fields = ("user", "where", "created_at")
    delete_confirmation_template = "admin/delete_seen.html"

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        """Change the role. Raises LastOwner and NotFound."""
        change_role(
            workspace_id=obj.workspace_id,
            membership_id=obj.pk,
            role=form.cleaned_data["role"],
            cause=cause_of(request),
        )

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Remove the member, keys and all. Raises LastOwner and NotFound."""
        remove_member(workspace_id=obj.workspace_id, membership_id=obj.pk, cause=cause_of(request))
