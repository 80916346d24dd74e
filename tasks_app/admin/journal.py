"""Django's journal of what operators did to users; all else is in the workspaces' logs."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.admin.site import site


@admin.register(LogEntry, site=site)
class JournalAdmin(ScopedAdmin):
    """For operators alone, read only."""

    to_workspace = ""
    search_fields = ()
    list_display = ("action_time", "user", "content_type", "object_repr", "__str__")
    list_select_related = ("user", "content_type")
