"""API keys: which there are and what they may; the key itself is nowhere, its digest not shown."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from tasks_app.access import Capability
from tasks_app.actions.api_key import revoke_key
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.scoped import Rows
from tasks_app.admin.site import site
from tasks_app.admin.verbs import ButtonsAdmin, each
from tasks_app.models import ApiKey


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ButtonsAdmin):
    """Made through the API, where each is shown once; revoked here too."""

    to_workspace = "membership__workspace_id"
    sees = Capability.MANAGE_KEYS
    finders = (by_id("pk", "membership_id"), beginning("membership__user__username"))
    search_help_text = "The beginning of a user's name, or the id of a key or a membership"
    list_display = (
        *("name", "prefix", "where", "user", "scope", "expires_at", "last_used_at", "revoked_at"),
    )
    list_select_related = ("membership__user",)
    fields = (
        *("name", "prefix", "where", "user", "scope", "requests_per_minute", "expires_at"),
        *("last_used_at", "revoked_at", "created_at"),
    )
    actions = ("revoke",)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks may revoke any."""
        return self.has_module_permission(request)

    @admin.action(description="Revoke", permissions=["manage"])
    def revoke(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """End them for good; streams they opened close at once."""
        cause = cause_of(request)

        def verb(key: ApiKey) -> None:
            workspace_id = key.membership.workspace_id
            revoke_key(workspace_id=workspace_id, api_key_id=key.pk, cause=cause)

        needs = Capability.MANAGE_KEYS
        return each(self, request, rows, verb=verb, needs=needs, done="Revoked")

    @admin.display(description="user")
    def user(self, key: ApiKey) -> str:
        """Return whose it is."""
        return key.membership.user.get_username()
