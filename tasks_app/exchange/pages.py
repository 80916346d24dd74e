"""The tasks of an export, page by page: each a short query, so that no client holds anything.

What an export holds: every task that its filter finds and that was there when it began, unless it
is deleted before its page is read; each once, in the order of `number`, as it is when its page is
read. `number` never changes and only grows, so the head's own, read in the same snapshot as the
Stream-Cursor, says which were there; what changes after that cursor, the stream tells.

A page looks at no more than WINDOW numbers, so that a filter that finds little costs no more.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Q

from tasks_app.models import Task, WorkspaceHead
from tasks_app.queries.snapshot import Head, snapshot_at_head

PAGE: Final = 100  # 10 MB at most, which each slow client keeps; 500 are read no faster
WINDOW: Final = 20_000


@dataclass(slots=True)
class Pages:
    """Where an export is. Used by one thread at a time."""

    workspace_id: uuid.UUID
    kept: Q
    head: Head
    last: int
    at: int = 0
    first: list[Task] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Tell whether all numbers have been looked at."""
        return self.at >= self.last

    def read(self) -> list[Task]:
        """Return the next tasks; perhaps none, though it is not over."""
        until = min(self.at + WINDOW, self.last)
        rows = Task.objects.in_workspace(self.workspace_id).filter(self.kept).with_sync()
        rows = rows.filter(number__gt=self.at, number__lte=until).order_by("number")
        found = list(rows[:PAGE])
        self.at = found[-1].number or until if len(found) == PAGE else until
        return found

    def __iter__(self) -> Iterator[list[Task]]:
        """Yield page after page, the first of which has been read already."""
        yield self.first
        self.first = []
        while not self.is_over:
            yield self.read()


def begin(workspace_id: uuid.UUID, kept: Q) -> Pages:
    """Read the first page and, as of the same instant, where the log ends."""
    with snapshot_at_head(workspace_id) as head:
        last = WorkspaceHead.objects.values_list("task_number", flat=True).get(pk=workspace_id)
        pages = Pages(workspace_id=workspace_id, kept=kept, head=head, last=last)
        pages.first = pages.read() if last else []
    return pages
