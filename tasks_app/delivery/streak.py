"""Since when a destination does nothing but fail. Pure functions; seconds of the database's clock.

Any failure that the destination gave counts, also 400 and 404: a receiver that has refused
everything for days is not going to take the next one either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tasks_app.connectors.base import Verdict

FEWEST: Final = 5
"""Fewer failures are too few to pause anything, however far apart they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Failures since the last success."""

    since: float | None = None
    last: float | None = None
    fails: int = 0

    def is_longer_than(self, seconds: float) -> bool:
        """Tell whether it spans so long, with enough of them."""
        if self.since is None or self.last is None:
            return False
        return self.fails >= FEWEST and self.last - self.since >= seconds


def streak_after(streak: Streak, verdicts: Iterable[Verdict], *, now: float) -> Streak:
    """Return the streak after attempts, in the order they ended."""
    for verdict in verdicts:
        if verdict is Verdict.FAILED:
            first = now if streak.since is None else streak.since
            streak = Streak(since=first, last=now, fails=streak.fails + 1)
        elif verdict is not Verdict.FAULT:
            streak = Streak()
    return streak
