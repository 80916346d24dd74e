"""Attempts: what each try at a delivery came to. Never changed by anybody."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from tasks_app.admin.finding import by_id
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.admin.site import site
from tasks_app.models import Attempt

if TYPE_CHECKING:
    Inline = admin.TabularInline[Any, Any]
else:
    Inline = admin.TabularInline


@admin.register(Attempt, site=site)
class AttemptAdmin(ScopedAdmin):
    """All of them, newest first."""

    to_workspace = "delivery__workspace_id"
    finders = (by_id("pk", "delivery_id"),)
    search_help_text = "The id of an attempt or of a delivery"
    list_display = (
        *("started_at", "where", "delivery", "number", "status_code", "error", "duration_ms"),
        "detail",
    )
    list_select_related = ("delivery",)


class AttemptsOfDelivery(Inline):
    """Those of one delivery, on its page."""

    model = Attempt
    extra = 0
    can_delete = False
    show_change_link = True
    ordering = ("number",)
    fields = ("number", "started_at", "duration_ms", "status_code", "error", "detail")
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to the delivery's page, which is shown only to who may see it."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False
