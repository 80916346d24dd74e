"""Lists that never count, never sort and never read more than they show.

PostgreSQL counts a million rows in tenths of a second and sorts them in seconds. So a list counts
to a thousand and says "more than"; further down lead its search and its filters. What may be
sorted and filtered by is what an index serves, whatever the address says.
"""

from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

REACH: Final = 1000  # rows that pages lead to
if TYPE_CHECKING:
    Base = Paginator[Any]
else:
    Base = Paginator


class BoundedPaginator(Base):
    """Counts no further than it leads."""

    @cached_property
    def found(self) -> int:
        """Return how many rows there are, at most one more than pages lead to."""
        rows = self.object_list
        assert isinstance(rows, QuerySet)  # noqa: S101 - lists of the admin are nothing else
        return rows.order_by().values("pk")[: REACH + 1].count()

    @cached_property
    def count(self) -> int:
        """Return how many rows pages lead to."""
        return min(self.found, REACH)

    @property
    def is_cut(self) -> bool:
        """Tell whether there are rows that no page leads to."""
        return self.found > REACH


class BoundedList(ChangeList):
    """A list in the order that its index has."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the admin's own ordering; the address has no say in it."""
        self.params.pop(ORDER_VAR, None)
        return super().get_ordering(request, queryset)

    @property
    def is_cut(self) -> bool:
        """Tell the page whether there is more than pages lead to."""
        return bool(getattr(self.paginator, "is_cut", False))
