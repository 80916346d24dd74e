"""Models without a page of their own: read only, and of each what cannot be a secret.

Numbers, times, ids, choices and texts known to be harmless are shown; whatever else a model holds
is not, so that one that comes tomorrow shows nothing it should not.
"""

from typing import Any, Final

from django.apps import apps
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.models import Invitation, Workspace

HARMLESS: Final = (
    *(models.UUIDField, models.IntegerField, models.FloatField, models.BooleanField),
    *(models.DateTimeField, models.DateField, models.DurationField, models.ForeignKey),
)
SAYABLE: Final = frozenset(
    {"name", "slug", "kind", "type", "state", "role", "status", "error", "reason", "cron"}
    | {"time_zone", "timezone", "code", "title", "file_name", "format", "expression"}
)
COLUMNS: Final = 9
#: What the API does not show to everybody either.
SEES: Final[dict[type[models.Model], Capability]] = {Invitation: Capability.MANAGE_MEMBERS}


class UnlinkedAdmin(ScopedAdmin):
    """A list alone: the address of a row's page would tell its key, which may be a secret."""

    list_display_links = None

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> None:
        """Refuse."""
        raise PermissionDenied


def register_others(site: AdminSite) -> None:
    """Register whatever model of ours has no page yet."""
    for model in apps.get_app_config("tasks_app").get_models():
        if not site.is_registered(model):
            site.register(model, _page_of(model))


def way_to_workspace(model: type[models.Model]) -> str:
    """Return the lookup of a row's workspace id; empty where there is none."""
    if model is Workspace:
        return "pk"
    fields = {field.name: field for field in model._meta.fields}
    if "workspace" in fields or "workspace_id" in fields:
        return "workspace_id"
    for name, field in fields.items():
        related = field.related_model if isinstance(field, models.ForeignKey) else None
        if isinstance(related, type) and (way := way_to_workspace(related)):
            return f"{name}__{way}"
    return ""


def is_harmless(field: "models.Field[object, object]") -> bool:
    """Tell whether a column may be shown without knowing what it is for."""
    if isinstance(field, HARMLESS):
        return True
    return isinstance(field, models.CharField) and (bool(field.choices) or field.name in SAYABLE)


def _page_of(model: type[models.Model]) -> type[ScopedAdmin]:
    shown = [field for field in model._meta.fields if is_harmless(field)]
    key = model._meta.pk
    told: dict[str, Any] = {
        "__doc__": f"{model.__name__}, read only.",
        "to_workspace": way_to_workspace(model),
        "sees": SEES.get(model, Capability.READ),
        "list_display": [field.name for field in shown][:COLUMNS] or ["pk"],
        "fields": [field.name for field in shown],
        "list_select_related": [f.name for f in shown if f.is_relation] or False,
        "search_fields": ("pk",) if isinstance(key, models.UUIDField) else (),
    }
    base = ScopedAdmin if is_harmless(key) else UnlinkedAdmin
    return type(f"{model.__name__}Admin", (base,), told)
