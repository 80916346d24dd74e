"""An expression in a time zone, daylight saving included, as Debian's cron goes about it.

A time of day ("30 2 * * *") that a forward change skips comes as soon as the change is over, and
one that a backward change repeats comes the first time only. What goes by the clock ("*/5 * * * *")
follows real time: it comes in both passes of a repeated hour, and not in one that is skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from tasks_app.recurrence.expression import Expression, parse

MINUTE: Final = timedelta(minutes=1)
NOT_A_PLACE: Final = {"localtime", "Factory"}


class UnknownZone(ValueError):
    """The time zone data has no such name."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """When it comes: the instant in UTC, and the time on the wall that the expression names.

    The wall's clock never shows a time that is skipped: then the instant is the end of the skip.
    """

    at: datetime
    local: datetime


@cache
def zone_names() -> frozenset[str]:
    """Return every name that the time zone data of this machine has."""
    return frozenset(available_timezones() - NOT_A_PLACE)


class Calendar:
    """When a schedule comes."""

    def __init__(self, cron: str, time_zone: str) -> None:
        """Read both. Raises BadExpression and UnknownZone."""
        self._expression: Expression = parse(cron)
        try:
            self.zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UnknownZone(time_zone) from error

    def after(self, moment: datetime, *, beyond: datetime | None = None) -> Occurrence | None:
        """Return the first occurrence after the moment; None where none comes for 50 years.

        Times of day up to ``beyond`` on the wall are left out: they have been, by whatever the
        zone's data said then.
        """
        if self._expression.follows_clock:
            return self._by_clock(moment)
        wall = self._wall(moment)
        for local in self._expression.after(max(wall, beyond or wall)):
            at = self._first_instant(local)
            if at > moment:
                return Occurrence(at, local)
        return None

    def next_few(self, moment: datetime, most: int) -> list[Occurrence]:
        """Return the first occurrences after the moment."""
        first = self.after(moment)
        return [] if first is None else [first, *islice(self.following(first), most - 1)]

    def following(self, occurrence: Occurrence) -> Iterator[Occurrence]:
        """Yield what comes after an occurrence."""
        coming = self.after(occurrence.at, beyond=occurrence.local)
        while coming is not None:
            yield coming
            coming = self.after(coming.at, beyond=coming.local)

    def holds(self, occurrence: Occurrence) -> bool:
        """Tell whether the zone's data of today puts the occurrence where it is."""
        if self._expression.follows_clock:
            return self._wall(occurrence.at) == occurrence.local
        return self._first_instant(occurrence.local) == occurrence.at

    def _by_clock(self, moment: datetime) -> Occurrence | None:
        wall = self._wall(moment)
        begin = wall - self._repeated(wall)  # what comes twice may come again, though named before
        found: Occurrence | None = None
        for local in self._expression.after(begin):
            instants = [at for at in self._instants(local) if at > moment]
            if instants and (found is None or instants[0] < found.at):
                found = Occurrence(instants[0], local)
            # In the first pass of a repeated hour, a later time on the wall may come sooner.
            if found and not self._repeated(local):
                break
        return found

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def _offsets(self, local: datetime) -> tuple[timedelta, timedelta]:
        """Return the offsets from UTC before and after a change that this time lies in, if any."""
        first, second = (local.replace(tzinfo=self.zone, fold=n).utcoffset() for n in (0, 1))
        return first or timedelta(), second or timedelta()

    def _repeated(self, local: datetime) -> timedelta:
        """Return by how much the clock is set back where this time comes twice, or zero."""
        before, after = self._offsets(local)
        return max(before - after, timedelta())

    def _instants(self, local: datetime) -> list[datetime]:
        """Return when the wall's clock shows this: once, twice, or never."""
        both = {(local - offset).replace(tzinfo=UTC) for offset in self._offsets(local)}
        return sorted(at for at in both if self._wall(at) == local)

    def _first_instant(self, local: datetime) -> datetime:
        """Return when the wall's clock first shows this, or the end of the skip that it lies in."""
        while not (instants := self._instants(local)):
            local += MINUTE
        return instants[0]
