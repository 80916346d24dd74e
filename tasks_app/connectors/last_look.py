"""The last look before bytes go: whether the attempt is still this process's to make.

A process may be stopped (SIGSTOP, a frozen machine) after it has begun an attempt and before its
first byte has left. When it goes on, another has long sent the same, and maybe what comes after
it. A receiver is no party to our claims, so nothing can fence what has left; whoever sends looks
once more, as late as it can.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

DETAIL: Final = "This process was stopped for so long that another may send it; nothing was sent."


class NoLongerOurs(Exception):
    """Another may make this attempt by now."""

    def __init__(self) -> None:
        super().__init__(DETAIL)


def _always() -> bool:
    return True


still_ours: ContextVar[Callable[[], bool]] = ContextVar("still_ours", default=_always)
"""What the engine sets for each attempt; may be called from any thread."""


def look_again() -> None:
    """Return where the attempt may go on. Raises NoLongerOurs."""
    if not still_ours.get()():
        raise NoLongerOurs
