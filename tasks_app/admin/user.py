"""Users: made and let in by operators. A password goes in and is never shown, nor is its hash."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks_app.access import Capability
from tasks_app.actions.account import disable_user
from tasks_app.admin.finding import beginning
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.admin.site import site


@admin.register(User, site=site)
class UserAdmin(ScopedAdmin, DjangoUserAdmin):  # type: ignore[misc, type-arg]
    """For operators alone. Nobody is deleted, for the log names them; who leaves is disabled."""

    to_workspace: ClassVar[str] = ""
    adds = changes = Capability.MANAGE_MEMBERS
    finders = (beginning("username"), beginning("email"))
    search_help_text = "The beginning of a user's name"
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_staff",)
    readonly_fields = ("set_password", "last_login", "date_joined")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "set_password")}),
        ("Who", {"fields": ("first_name", "last_name", "email")}),
        ("May enter", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save it; who is disabled here is out at once, streams and keys too."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active:
            disable_user(user_id=obj.pk)

    @admin.display(description="password")
    def set_password(self, user: User) -> SafeString:
        """Lead to where another one is set."""
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a href="{}">Set another</a>', url)
