"""The log: read, in order, and never written by a person."""

from django.contrib import admin
from django.http import HttpRequest

from tasks_app.admin.finding import by_id
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.admin.site import site
from tasks_app.models import Event


@admin.register(Event, site=site)
class EventAdmin(ScopedAdmin):
    """What was committed, newest first."""

    finders = (by_id("pk", "task_id"),)
    search_help_text = "The id of an event or of a task"
    list_display = ("seq", "type", "where", "at", "who", "task_id", "request_id")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the order of the index that serves the list."""
        return ("-seq",) if request.GET.get("workspace") else ("-id",)

    @admin.display(description="actor")
    def who(self, event: Event) -> str:
        """Return who did it."""
        return str(event.actor.get("name", ""))
