"""Users: made and let in by operators. A password goes in and is never shown, nor is its hash."""

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserChangeForm,
)
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks_app.access import Capability
from tasks_app.actions.account import change_password, disable_user
from tasks_app.actions.taken import refused_where_taken
from tasks_app.admin.finding import beginning, by_address
from tasks_app.admin.recorded import RefusableForm, RefusingAdmin
from tasks_app.admin.seen import SeenForm, refuse_unseen
from tasks_app.admin.site import site

ADDRESS_TAKEN: Final = ("user_email_once", "/email", "Another user has this address.")
NAME_TAKEN: Final = ("user_name_once", "/username", "Another user has this name.")
FIELDS: Final = ("username", "first_name", "last_name", "email")
FLAGS: Final = ("is_active", "is_staff", "is_superuser")


class NewUserForm(RefusableForm, AdminUserCreationForm):  # type: ignore[type-arg]
    """A name and a password, or none: then it is set by a link that goes to the address."""

    class Meta:
        model = User
        fields = ("username", "email")


class UserForm(SeenForm, UserChangeForm):  # type: ignore[type-arg]
    """Who it is, and whether they may enter."""

    shows = (*FIELDS, *FLAGS)

    class Meta:
        model = User
        fields = (*FIELDS, *FLAGS)


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Another password, or none: whichever, all logins end and streams with them."""

    def save(self, commit: bool = True) -> User:
        """Write the password alone."""
        values = self.cleaned_data
        user: User = self.user
        password = values["password1"] if values["set_usable_password"] else None
        change_password(user=user, password=password)
        return user


@admin.register(User, site=site)
class UserAdmin(RefusingAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """For operators alone. Nobody is deleted, for the log names them; who leaves is disabled."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = PasswordForm
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
        ("Who", {"fields": ("first_name", "last_name", "email", "seen")}),
        ("May enter", {"fields": FLAGS}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save what was changed; who is disabled is out at once, streams and keys too.

        Raises StaleVersion and Invalid.
        """
        with (
            refused_where_taken(*ADDRESS_TAKEN),
            refused_where_taken(*NAME_TAKEN),
            transaction.atomic(),
        ):
            if change:
                self._change(obj, form)
            else:
                super().save_model(request, obj, form, change)

    def _change(self, obj: User, form: Any) -> None:
        now = User.objects.select_for_update(no_key=True).get(pk=obj.pk)
        refuse_unseen(now, form.shows, form.cleaned_data["seen"])
        changed = form.changed_fields()
        obj.save(update_fields=changed)
        if "is_active" in changed and not obj.is_active:
            disable_user(user_id=obj.pk)

    @admin.display(description="password")
    def set_password(self, user: User) -> SafeString:
        """Lead to where another one is set."""
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a href="{}">Set another</a>', url)
