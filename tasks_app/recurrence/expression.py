"""Cron expressions as Debian's cron reads them (crontab(5)), on a clock without a time zone.

cronsim parses and walks them. What its walk makes of zones is not used: around a shift of half an
hour (Australia/Lord_Howe) it leaves occurrences out. `calendar.py` lays these times on a zone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError

LENGTH: Final = 100  # characters
HORIZON: Final = timedelta(days=3653)  # what comes more seldom than once in ten years is refused
EPOCH: Final = datetime(2001, 1, 1)  # noqa: DTZ001 - a clock without a zone
NAMES: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")
MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class BadExpression(ValueError):
    """This is no cron expression (code ``invalid``), or it never comes (``never``)."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Expression:
    """Five fields that name minutes."""

    fields: tuple[str, ...]

    @property
    def follows_clock(self) -> bool:
        """Tell whether it goes by real time, not by times of day: its minute or hour is a ``*``."""
        return self.fields[0].startswith("*") or self.fields[1].startswith("*")

    def after(self, local: datetime) -> Iterator[datetime]:
        """Yield all times after this one, ends where none comes for 50 years."""
        return iter(CronSim(" ".join(self.fields), local))


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Return the expression; ``@daily`` and the like are known. Raises BadExpression."""
    fields = tuple(MACROS.get(text.strip().lower(), text).split())
    if len(text) > LENGTH or len(fields) != len(NAMES):
        raise BadExpression("invalid", f"There are five fields: {', '.join(NAMES)}.")
    expression = Expression(fields)
    wrong = [name for name, alone in zip(NAMES, _alone(fields), strict=True) if not _reads(alone)]
    if wrong:
        raise BadExpression("invalid", f"This is not valid: {', '.join(wrong)}.")
    if not _comes(expression):
        raise BadExpression("never", "No day within ten years is like that.")
    return expression


def _alone(fields: tuple[str, ...]) -> Iterator[str]:
    """Yield expressions in which one field each is the given one."""
    for place, field in enumerate(fields):
        yield " ".join(field if here == place else "*" for here in range(len(fields)))


def _reads(text: str) -> bool:
    try:
        CronSim(text, EPOCH)
    except CronSimError:
        return False
    return True


def _comes(expression: Expression) -> bool:
    try:
        first = next(expression.after(EPOCH), None)
    except CronSimError:  # a day that none of its months has
        return False
    return first is not None and first - EPOCH < HORIZON
