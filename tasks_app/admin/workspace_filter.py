"""Filters a list by workspace, however many there are: a few to click, a box for the others."""

from collections.abc import Iterator
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.admin.rights import rights_of
from tasks_app.models import Workspace

SHOWN: Final = 15  # of those to click


class WorkspaceFilter(admin.SimpleListFilter):
    """``?workspace=`` and its slug."""

    title = "workspace"
    parameter_name = "workspace"
    template = "admin/workspace_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the first workspaces of those that who asks may see."""
        rows, rights = Workspace.objects.order_by("slug"), rights_of(request)
        if not rights.operator:
            rows = rows.filter(pk__in=rights.where(Capability.READ))
        self.model_admin = model_admin
        self.others = [(name, text) for name, text in request.GET.items() if self._stays(name)]
        return [(slug, slug) for slug in rows.values_list("slug", flat=True)[:SHOWN]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the workspace that is named."""
        slug = self.value()
        if not slug:
            return queryset
        found = list(Workspace.objects.filter(slug=slug).values_list("pk", flat=True))
        rows: QuerySet[Any] = self.model_admin.in_workspaces(queryset, found)
        return rows if found else queryset.none()

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield all, the first few, and the one that is chosen."""
        chosen = self.value()
        yield from super().choices(changelist)
        if chosen and all(chosen != slug for slug, _ in self.lookup_choices):
            query = changelist.get_query_string({self.parameter_name: chosen})
            yield {"selected": True, "query_string": query, "display": chosen}

    def _stays(self, name: str) -> bool:
        return name not in {self.parameter_name, "p", "all", "e"}
