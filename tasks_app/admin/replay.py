"""Replays: how far they are, and an end to them."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from tasks_app.access import Capability
from tasks_app.actions.replay import cancel_replay
from tasks_app.admin.causing import cause_of
from tasks_app.admin.rights import rights_of
from tasks_app.admin.scoped import Rows
from tasks_app.admin.site import site
from tasks_app.admin.verbs import ButtonsAdmin, each
from tasks_app.models import Replay


@admin.register(Replay, site=site)
class ReplayAdmin(ButtonsAdmin):
    """Begun through the API, where what they choose is counted first."""

    list_display = ("id", "where", "destination", "state", "made", "ended", "total", "created_at")
    list_select_related = ("destination",)
    list_filter = ("state",)
    actions = ("cancel",)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks may cancel any."""
        return rights_of(request).somewhere(Capability.MANAGE_DELIVERIES)

    @admin.action(description="Cancel", permissions=["manage"])
    def cancel(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Make no more deliveries; those that are made go out."""
        cause = cause_of(request)

        def verb(row: Replay) -> None:
            cancel_replay(
                workspace_id=row.workspace_id, replay_id=row.pk, cancel_waiting=False, cause=cause
            )

        needs = Capability.MANAGE_DELIVERIES
        return each(self, request, rows, verb=verb, needs=needs, done="Cancelled")
