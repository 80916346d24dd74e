"""Workspaces: made with their log and an owner by operators, renamed and ended by owners."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import User
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.actions.workspace import change_workspace, delete_workspace, open_workspace
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.recorded import RecordedAdmin, RefusableForm
from tasks_app.admin.rights import rights_of
from tasks_app.admin.site import site
from tasks_app.admin.task_fields import Line
from tasks_app.models import Membership, Workspace


class WorkspaceForm(RefusableForm):
    """A new one has an owner, who can then invite others."""

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
    delete_confirmation_template = "admin/delete_seen.html"

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return none: the list is that of workspaces."""
        return []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is typed, then what is told."""
        return ["slug", "name", "owner"] if obj is None else ["slug", "name", *self.readonly_fields]

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
        """Create or rename it. Raises Invalid and NotFound."""
        values = form.cleaned_data
        if change:
            fields = {name: values[name] for name in form.changed_data}
            change_workspace(workspace_id=obj.pk, fields=fields, cause=cause_of(request))
        else:
            made = open_workspace(slug=values["slug"], name=values["name"], owner=values["owner"])
            obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Workspace) -> None:
        """End it; the sweep erases its rows. Raises NotFound."""
        delete_workspace(workspace_id=obj.pk, cause=cause_of(request))


def _is_over(obj: Any) -> bool:
    return obj is not None and obj.deleted_at is not None
