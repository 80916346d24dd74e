"""Users: made and let in by operators. A password goes in and is never shown, nor is its hash."""

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks_app.access import Capability
from tasks_app.actions.account import disable_user
from tasks_app.actions.taken import refused_where_taken
from tasks_app.admin.finding import beginning, by_address
from tasks_app.admin.recorded import RefusableForm, RefusingAdmin
from tasks_app.admin.site import site

TAKEN: Final = ("user_email_once", "/email", "Another user has this address.")


class NewUserForm(RefusableForm, AdminUserCreationForm):  # type: ignore[type-arg]
    """A name and a password, or none: then it is set by a link that goes to the address."""

    class Meta:
        model = User
        fields = ("username", "email")


class UserForm(RefusableForm, UserChangeForm):  # type: ignore[type-arg]
    """Who it is, and whether they may enter."""

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_active", "is_staff")


@admin.register(User, site=site)
class UserAdmin(RefusingAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """For operators alone. Nobody is deleted, for the log names them; who leaves is disabled."""

    form = UserForm
    add_form = NewUserForm
    to_workspace: ClassVar[str] = ""
    adds = changes = Capability.MANAGE_MEMBERS
    finders = (by_address("email"), beginning("username"))
    search_help_text = "The beginning of a user's name, or a whole address"
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
    add_fieldsets = (
        (None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save it; who is disabled is out at once, streams and keys too. Raises Invalid."""
        with refused_where_taken(*TAKEN), transaction.atomic():
            super().save_model(request, obj, form, change)
            if change and not obj.is_active:
                disable_user(user_id=obj.pk)

    @admin.display(description="password")
    def set_password(self, user: User) -> SafeString:
        """Lead to where another one is set."""
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a href="{}">Set another</a>', url)
