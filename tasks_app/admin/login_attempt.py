"""Failed logins: whom they keep waiting, and the way to let somebody in at once: delete the row."""

from axes.models import AccessAttempt
from django.contrib import admin

from tasks_app.access import Capability
from tasks_app.admin.finding import beginning
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.admin.site import site


@admin.register(AccessAttempt, site=site)
class LoginAttemptAdmin(ScopedAdmin):
    """For operators alone. Rows go by themselves once their time is over."""

    to_workspace = ""
    deletes = Capability.MANAGE_MEMBERS
    finders = (beginning("username"),)
    search_help_text = "The beginning of a user's name"
    list_display = ("username", "ip_address", "failures_since_start", "attempt_time", "path_info")
    fields = (*list_display, "user_agent")
