"""How many exports a workspace has at once, in each process; a place is never lost."""

import threading
import uuid
import weakref
from collections import Counter
from types import TracebackType
from typing import Final

from tasks_app.exceptions import TooManyExports

AT_ONCE: Final = 4

_taken: Counter[uuid.UUID] = Counter()
_lock = threading.Lock()


class Place:
    """One export's. Given back once, at its end or when nothing holds it any more."""

    def __init__(self, workspace_id: uuid.UUID) -> None:
        self._give_back = weakref.finalize(self, _leave, workspace_id)

    def leave(self) -> None:
        """Give it back."""
        self._give_back()

    def __enter__(self) -> None:
        """Hold it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self.leave()


def take_place(workspace_id: uuid.UUID) -> Place:
    """Take a place. Raises TooManyExports where there is none."""
    with _lock:
        if _taken[workspace_id] >= AT_ONCE:
            raise TooManyExports
        _taken[workspace_id] += 1
    return Place(workspace_id)


def _leave(workspace_id: uuid.UUID) -> None:
    with _lock:
        _taken[workspace_id] -= 1
        if not _taken[workspace_id]:
            del _taken[workspace_id]
