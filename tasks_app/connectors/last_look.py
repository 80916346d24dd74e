"""The last look before bytes go: whether the attempt is still this process's to make.

A process may be stopped (SIGSTOP, a frozen cgroup) after it has begun an attempt and before its
first byte has left. When it goes on, another has long sent the same, and maybe what comes after
it. A receiver is no party to our claims, so nothing can fence what has left; whoever sends looks
once more, as late as it can.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

DETAIL: Final = "This process was not heard for so long that another may send it; it did not."


class NoLongerOurs(Exception):
    """Another may make this attempt by now."""

    def __init__(self) -> None:
        super().__init__(DETAIL)


class LastLook:
    """One attempt's; may be asked from any thread."""

    def __init__(self, is_ours: Callable[[], bool]) -> None:
        self._is_ours = is_ours
        self.has_refused = False
        """What was about to leave was kept back: whoever began the attempt gives it back."""

    def __call__(self) -> bool:
        """Tell whether the attempt may go on."""
        if not self._is_ours():
            self.has_refused = True
        return not self.has_refused


def always() -> bool:
    """Tell that of what nobody else would send."""
    return True


still_ours: ContextVar[Callable[[], bool]] = ContextVar("still_ours", default=always)
"""What the engine sets for each attempt."""


def look_again() -> None:
    """Return where the attempt may go on. Raises NoLongerOurs."""
    if not still_ours.get()():
        raise NoLongerOurs
