"""Workspaces: made with their log and an owner by operators, renamed and ended by owners."""

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import User
from django.core.validators import RegexValidator
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.actions.workspace import (
    change_workspace,
    delete_workspace,
    locked_workspace,
    open_workspace,
)
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.recorded import RecordedAdmin
from tasks_app.admin.rights import rights_of
from tasks_app.admin.seen import SeenForm, digest_of, refuse_unseen, seen_on_asking
from tasks_app.admin.site import site
from tasks_app.admin.task_fields import Line
from tasks_app.models import Membership, Workspace
from tasks_app.models.workspace import SLUG_PATTERN, SLUG_RULE

SHOWS: Final = ("slug", "name", "deleted_at")


class WorkspaceForm(SeenForm):
    """A new one has an owner, who can then invite others."""

    shows = SHOWS
    slug = forms.CharField(max_length=50, validators=[RegexValidator(SLUG_PATTERN, SLUG_RULE)])
    name = Line(max_length=100)
    owner = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True),
        widget=AutocompleteSelect(Membership._meta.get_field("user"), site),
    )

    class Meta:
        model = Workspace
        fields = ["slug", "name"]


@admin.register(Workspace, site=site)
class WorkspaceAdmin(RecordedAdmin):
    """One's own workspaces."""

    form = WorkspaceForm
    to_workspace = "pk"
    changes = deletes = Capability.MANAGE_WORKSPACE
    finders = (by_id("pk"), beginning("slug"))
    search_help_text = "The beginning of a slug, or an id"
    list_display = ("slug", "name", "created_at", "deleted_at")
    ordering = ("slug",)
    readonly_fields = ("created_at", "deleted_at")
    asks = (
        "It is closed to all at once: keys and links die, nothing more is sent. Ten minutes later"
        " all of it is erased: its log, tasks, deliveries, destinations, members and keys. There"
        " is no way back."
    )

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return none: the list is that of workspaces."""
        return []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is typed, then what is told."""
        if obj is None:
            return ["slug", "name", "owner"]
        seen = ["seen"] if self.has_change_permission(request, obj) else []
        return ["slug", "name", *self.readonly_fields, *seen]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return the form; who owns it already is among its members."""
        form = super().get_form(request, obj, **kwargs)
        if obj is not None:
            form.base_fields.pop("owner", None)
        return form

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks operates the installation."""
        return rights_of(request).operator

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether it may be renamed; an ended one may not."""
        return not _is_over(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether it may be ended, which happens once."""
        return not _is_over(obj) and super().has_delete_permission(request, obj)

    def save_model(
        self, request: HttpRequest, obj: Workspace, form: WorkspaceForm, change: bool
    ) -> None:
        """Create or rename it. Raises StaleVersion, Invalid and NotFound."""
        values = form.cleaned_data
        if change:
            refuse_unseen(locked_workspace(obj.pk), SHOWS, values["seen"])
            fields = {name: values[name] for name in form.changed_fields()}
            change_workspace(workspace_id=obj.pk, fields=fields, cause=cause_of(request))
        else:
            given = {name: values[name] for name in ("slug", "name", "owner")}
            made = open_workspace(**given, cause=cause_of(request))
            obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Workspace) -> None:
        """End it; the sweep erases its rows. Raises StaleVersion and NotFound."""
        refuse_unseen(locked_workspace(obj.pk), SHOWS, seen_on_asking(request, obj))
        delete_workspace(workspace_id=obj.pk, cause=cause_of(request))

    def seen(self, obj: Workspace) -> str:
        """Return a digest of what is shown."""
        return digest_of(obj, SHOWS)


def _is_over(obj: Any) -> bool:
    return obj is not None and obj.deleted_at is not None
