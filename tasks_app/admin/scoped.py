"""What every page of the admin keeps to: one's own workspaces, what one's role allows, indexes."""

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from tasks_app.access import Capability
from tasks_app.admin.finding import Finder, by_id, found
from tasks_app.admin.paging import BoundedList, BoundedPaginator
from tasks_app.admin.rights import rights_of
from tasks_app.admin.workspace_filter import WorkspaceFilter
from tasks_app.models import Workspace

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin
Rows = QuerySet[Any]


class ScopedAdmin(Base):
    """Reads what belongs to workspaces; changes nothing unless a subclass says how.

    ``to_workspace`` leads from a row to its workspace's id; empty for what belongs to none, which
    operators alone see. ``lookups`` is all that an address may filter by beside the list's filters.
    """

    to_workspace: ClassVar[str] = "workspace_id"
    sees: ClassVar[Capability] = Capability.READ
    adds: ClassVar[Capability | None] = None
    changes: ClassVar[Capability | None] = None
    deletes: ClassVar[Capability | None] = None
    finders: ClassVar[tuple[Finder, ...]] = (by_id("pk"),)
    lookups: ClassVar[frozenset[str]] = frozenset()

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()
    search_fields: ClassVar[tuple[str, ...]] = ("pk",)  # shows the box; `finders` say what it finds
    search_help_text = "An id"
    ordering = ("-pk",)

    def in_workspaces(self, rows: Rows, workspaces: Collection[uuid.UUID]) -> Rows:
        """Keep the rows of these workspaces."""
        if len(workspaces) == 1:
            return rows.filter(**{self.to_workspace: next(iter(workspaces))})
        return rows.filter(**{f"{self.to_workspace}__in": list(workspaces)})

    def workspace_of(self, obj: Model) -> uuid.UUID | None:
        """Return the workspace of a row."""
        value: Any = obj
        for name in filter(None, self.to_workspace.split("__")):
            value = getattr(value, name)
        return value if isinstance(value, uuid.UUID) else None

    @admin.display(description="workspace")
    def where(self, obj: Any) -> str:
        """Return the name of the row's workspace."""
        return getattr(obj, "workspace_slug", None) or ""

    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return the rows that who asks may see."""
        rows = super().get_queryset(request)
        rights = rights_of(request)
        if self.to_workspace:
            slug = Workspace.objects.filter(pk=OuterRef(self.to_workspace)).values("slug")
            rows = rows.annotate(workspace_slug=Subquery(slug))
        if rights.operator:
            return rows
        mine = rights.where(self.sees) if self.to_workspace else frozenset()
        kept: Rows = self.in_workspaces(rows, mine) if mine else rows.none()
        return kept

    def get_search_results(
        self, request: HttpRequest, queryset: Rows, search_term: str
    ) -> tuple[Rows, bool]:
        """Return what the finders find, none of it twice."""
        return found(queryset, search_term, self.finders), False

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, that of workspaces first."""
        own = super().get_list_filter(request)
        return [WorkspaceFilter, *own] if self.to_workspace else own

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return a list that keeps to its index."""
        return BoundedList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse what is not offered: `?digest__startswith=` would spell a secret out."""
        filters = self.get_list_filter(request)
        offered = {
            f"{one}__exact" if isinstance(one, str) else one.parameter_name for one in filters
        }
        return lookup in offered | self.lookups

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the workspaces that who asks may see, and none that has ended."""
        if db_field.name == "workspace":
            rows, rights = Workspace.objects.filter(deleted_at=None), rights_of(request)
            mine = rights.where(self.sees)
            kwargs["queryset"] = rows if rights.operator else rows.filter(pk__in=mine)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Tell whether the model is in the menu."""
        return self._may(request, self.sees)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this row, or any, may be seen."""
        return self._may(request, self.sees, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell whether there is a workspace to add a row to."""
        return self._may(request, self.adds)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this row, or any, may be changed."""
        return self._may(request, self.changes, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this row, or any, may be deleted."""
        return self._may(request, self.deletes, obj)

    def _may(
        self, request: HttpRequest, capability: Capability | None, obj: Model | None = None
    ) -> bool:
        if capability is None:
            return False
        rights = rights_of(request)
        if obj is not None or not self.to_workspace:
            return rights.may(capability, self.workspace_of(obj) if obj is not None else None)
        return rights.somewhere(capability)
