"""What is made of occurrences that are due: all that is merely late, and of the missed by a rule.

Late is what is due for less than LATE: a kill, a restart, a failover loses no occurrence. What is
due for longer was missed, as when the house was down over night; and a night of "every five
minutes" is not what anybody wants to find in the morning.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, takewhile
from typing import Final

from tasks_app.recurrence.calendar import Calendar, Occurrence

LATE: Final = timedelta(minutes=15)
ALL_MOST: Final = 100  # of what was missed
STEP: Final = 20  # occurrences of one schedule made in one transaction


class CatchUp(StrEnum):
    """What is made of the missed."""

    LAST = "last"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make now, what comes next; from when until (not) when nothing is made, if so."""

    make: list[Occurrence]
    coming: Occurrence | None
    skipped: tuple[datetime, datetime] | None


def plan(
    calendar: Calendar, first: Occurrence, *, now: datetime, rule: str, most: int = STEP
) -> Plan:
    """Return what to do about a schedule whose first occurrence that was not made is due.

    ``most`` occurrences are made, or STEP where that is fewer.
    """
    begin = first if first.at > now - LATE else _resumed(calendar, first, now, rule)
    if begin is None:
        return Plan([], None, (first.at, now))
    skipped = (first.at, begin.at) if begin.at > first.at else None
    make: list[Occurrence] = []
    for one in chain([begin], calendar.following(begin)):
        if one.at > now or len(make) >= min(most, STEP):
            return Plan(make, one, skipped)
        make.append(one)
    return Plan(make, None, skipped)


def _resumed(calendar: Calendar, first: Occurrence, now: datetime, rule: str) -> Occurrence | None:
    """Return the first occurrence to be made, where some were missed."""
    late = now - LATE
    if rule == CatchUp.ALL:
        return _newest(calendar, first, until=late, most=ALL_MOST)[0]
    if rule == CatchUp.LAST:
        last = _newest(calendar, first, until=now, most=1)[0]
        if last.at <= late:
            return last
    return calendar.after(late, beyond=first.local)


def _newest(
    calendar: Calendar, first: Occurrence, *, until: datetime, most: int
) -> list[Occurrence]:
    """Return the last occurrences from ``first`` on, up to ``until``.

    Looked for from the end, further and further back: a year of minutes is not walked through.
    """
    back = timedelta(hours=1)
    while until - back > first.at:
        found = _between(calendar, until - back, until)
        kept = deque(found, maxlen=most)
        if len(kept) == most:
            return list(kept)
        back *= 2
    walk = takewhile(lambda one: one.at <= until, calendar.following(first))
    return list(deque(chain([first], walk), maxlen=most))


def _between(calendar: Calendar, begin: datetime, until: datetime) -> Iterator[Occurrence]:
    first = calendar.after(begin)
    if first is None:
        return iter(())
    walk = chain([first], calendar.following(first))
    return takewhile(lambda one: one.at <= until, walk)
