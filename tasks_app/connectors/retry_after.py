"""When a destination asks to be tried again: Retry-After (RFC 9110 §10.2.3), read strictly."""

import re
from datetime import UTC, datetime
from typing import Final

from tasks_app.connectors.failure import RawHeaders

CAP_SECONDS: Final = 86_400.0
"""Whatever is asked for, a day is the longest we wait."""

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"

_DATES: Final = tuple(
    re.compile(form)
    for form in (  # RFC 9110 §5.6.7: IMF-fixdate, and the two old forms a recipient must accept
        rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse_retry_after(value: str, *, now: datetime) -> float | None:
    """Read the header into seconds from `now` (aware), from 0 to 24 h. None for anything else."""
    text = value.strip(" \t")
    if re.fullmatch(r"[0-9]{1,64}", text):
        return min(float(text), CAP_SECONDS)
    at = _date(text, now)
    if at is None:
        return None
    return min(max((at - now).total_seconds(), 0.0), CAP_SECONDS)


def longest_retry_after(headers: RawHeaders, *, now: datetime) -> float | None:
    """Return what is asked for; where it is asked for twice, the longest that can be read."""
    said = [value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"]
    read = [parse_retry_after(value, now=now) for value in said]
    return max((seconds for seconds in read if seconds is not None), default=None)


def _date(text: str, now: datetime) -> datetime | None:
    for form in _DATES:
        if match := form.fullmatch(text):
            return _moment(match, now)
    return None


def _moment(match: re.Match[str], now: datetime) -> datetime | None:
    part = match.groupdict()
    try:
        return datetime(
            _year(part["year"], now),
            _MONTHS.index(part["month"]) + 1,
            int(part["day"]),
            int(part["hour"]),
            int(part["minute"]),
            min(int(part["second"]), 59),  # a leap second is written as 60
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _year(text: str, now: datetime) -> int:
    if len(text) == 4:
        return int(text)
    year = now.year - now.year % 100 + int(text)
    return year - 100 if year > now.year + 50 else year  # RFC 9110 §5.6.7
