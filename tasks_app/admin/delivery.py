"""Deliveries: read, retried and cancelled, each with its attempts."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from tasks_app.access import Capability
from tasks_app.actions.delivery import cancel_delivery, retry_delivery
from tasks_app.admin.attempt import AttemptsOfDelivery
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import by_id
from tasks_app.admin.rights import rights_of
from tasks_app.admin.scoped import Rows
from tasks_app.admin.site import site
from tasks_app.admin.verbs import ButtonsAdmin, each
from tasks_app.models import Delivery, DeliveryState


class StateFilter(admin.SimpleListFilter):
    """By state, each by the index that has it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states."""
        return [(state, state) for state in DeliveryState.values]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Keep those in the state. Only deliveries of tasks wait, and so says their index."""
        state = self.value()
        if state not in DeliveryState.values:
            return queryset
        kept = queryset.filter(state=state)
        return kept.filter(task_id__isnull=False) if state == DeliveryState.WAITING else kept


@admin.register(Delivery, site=site)
class DeliveryAdmin(ButtonsAdmin):
    """The queue. Only the engine writes it; people retry and cancel."""

    finders = (by_id("pk", "task_id", "destination_id"),)
    search_help_text = "The id of a delivery, a task or a destination"
    list_display = (
        *("event_type", "event_seq", "where", "destination", "state", "attempts", "status_code"),
        *("error", "next_attempt_at", "ended_at"),
    )
    list_filter = (StateFilter,)
    list_select_related = ("destination",)
    lookups = frozenset({"destination__id__exact"})
    raw_id_fields = ("destination",)
    inlines = (AttemptsOfDelivery,)
    actions = ("retry", "cancel")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the order of the index that serves the list."""
        return ("-sequence",) if "destination__id__exact" in request.GET else ("-id",)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks may retry and cancel anywhere."""
        return rights_of(request).somewhere(Capability.MANAGE_DELIVERIES)

    @admin.action(description="Retry", permissions=["manage"])
    def retry(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Send dead and cancelled ones once more."""
        return self._each(request, rows, retry_delivery, "Retried")

    @admin.action(description="Cancel", permissions=["manage"])
    def cancel(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Never send those that wait."""
        return self._each(request, rows, cancel_delivery, "Cancelled")

    def _each(self, request: HttpRequest, rows: Rows, act: Any, done: str) -> HttpResponse | None:
        cause = cause_of(request)

        def verb(row: Delivery) -> None:
            act(workspace_id=row.workspace_id, delivery_id=row.pk, cause=cause)

        needs = Capability.MANAGE_DELIVERIES
        return each(self, request, rows, verb=verb, needs=needs, done=done)
