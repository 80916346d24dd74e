"""When a schedule comes: as Debian's cron, minute by minute, through every change of the clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks_app.recurrence.calendar import Calendar, Occurrence, UnknownZone, zone_names
from tasks_app.recurrence.expression import BadExpression, parse

MINUTE = timedelta(minutes=1)
BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
#: Days on which clocks change: by an hour, by half of one, by two, at midnight, not at all.
CHANGES = [
    (BERLIN, "2026-03-29"),
    (BERLIN, "2026-10-25"),
    (NEW_YORK, "2026-03-08"),
    (NEW_YORK, "2026-11-01"),
    (LORD_HOWE, "2026-04-05"),
    (LORD_HOWE, "2026-10-04"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("America/Santiago", "2026-04-04"),
    ("America/Santiago", "2026-09-06"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Asia/Kathmandu", "2026-05-01"),
    ("UTC", "2028-02-29"),
]


def comes(cron: str, zone: str, begin: str, count: int) -> list[str]:
    """Return the next occurrences after a time of the zone, on its own clock."""
    after = datetime.fromisoformat(begin)
    after = after if after.tzinfo else after.replace(tzinfo=ZoneInfo(zone))
    few = Calendar(cron, zone).next_few(after, count)
    return [one.at.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for one in few]


@pytest.mark.parametrize(
    ("cron", "zone", "begin", "expected"),
    [
        # A time of day that is skipped comes once, right after.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "30 2 * * *",
            NEW_YORK,
            "2026-03-08T00:00",
            ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
        ),
        (
            "15 2 * * *",
            LORD_HOWE,
            "2026-10-04T00:00",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        (
            "0,30 2 * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"],
        ),
        (
            "30 2,3 * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"],
        ),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", ["2026-09-06T01:00-03:00"]),
        # A time of day that is repeated comes the first time only.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "30 1 * * *",
            NEW_YORK,
            "2026-11-01T00:00",
            ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-05T00:00",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        ("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", ["2026-10-26T02:30+01:00"]),
        # What goes by the clock follows real time.
        (
            "0 * * * *",
            BERLIN,
            "2026-03-29T00:30",
            ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"],
        ),
        ("*/30 2 * * *", BERLIN, "2026-03-29T00:00", ["2026-03-30T02:00+02:00"]),
        (
            "*/30 2 * * *",
            BERLIN,
            "2026-10-25T00:00",
            ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"],
        ),
        (
            "*/15 2 * * *",
            LORD_HOWE,
            "2026-04-05T01:45+11:00",
            ["2026-04-05T02:00+10:30", "2026-04-05T02:15+10:30", "2026-04-05T02:30+10:30"],
        ),
        (
            "30 * * * *",
            LORD_HOWE,
            "2026-04-05T01:00+11:00",
            ["2026-04-05T01:30+11:00", "2026-04-05T01:30+10:30", "2026-04-05T02:30+10:30"],
        ),
        # A leap day, the last Friday, the macros.
        (
            "0 9 29 2 *",
            "UTC",
            "2026-01-01T00:00",
            ["2028-02-29T09:00+00:00", "2032-02-29T09:00+00:00"],
        ),
        ("0 9 29 2 *", "UTC", "2096-03-01T00:00", ["2104-02-29T09:00+00:00"]),
        ("0 17 * * 5L", "UTC", "2026-01-01T00:00", ["2026-01-30T17:00+00:00"]),
        ("@weekly", BERLIN, "2026-01-01T00:00", ["2026-01-04T00:00+01:00"]),
    ],
)
def test_it_comes_as_it_does_with_debian_s_cron(
    cron: str, zone: str, begin: str, expected: list[str]
) -> None:
    assert comes(cron, zone, begin, len(expected)) == expected


Field = tuple[str, frozenset[int]]
FIELDS = [range(60), range(24), range(1, 32), range(1, 13), range(7)]


def parts(values: range, among: range | None = None) -> st.SearchStrategy[Field]:
    """Return a field of an expression, and the numbers that it names."""
    among = among or values
    steps = st.integers(1, 20).map(lambda step: (f"*/{step}", frozenset(values[::step])))
    some = st.frozensets(st.sampled_from(among), min_size=1, max_size=4)
    listed = some.map(lambda chosen: (",".join(map(str, sorted(chosen))), chosen))
    ends = st.tuples(st.sampled_from(among), st.sampled_from(among)).map(sorted)
    ranges = ends.map(lambda e: (f"{e[0]}-{e[1]}", frozenset(range(e[0], e[1] + 1))))
    return st.one_of(st.just(("*", frozenset(values))), steps, listed, ranges)


HOURS = parts(FIELDS[1], among=range(4))  # clocks change at night
DAYS = st.one_of(st.just(("*", frozenset(FIELDS[2]))), parts(FIELDS[2]))
WEEKDAYS = st.one_of(st.just(("*", frozenset(FIELDS[4]))), parts(FIELDS[4]))
DRAWN = st.tuples(
    parts(FIELDS[0]),
    st.one_of(HOURS, parts(FIELDS[1])),
    DAYS,
    st.just(("*", frozenset(FIELDS[3]))),
    WEEKDAYS,
)


def names(drawn: tuple[Field, ...], wall: datetime) -> bool:
    """Tell whether the expression names this time on the wall (crontab(5))."""
    (minute, hour, day, month, weekday) = (part[1] for part in drawn)
    by_day, by_weekday = wall.day in day, wall.isoweekday() % 7 in weekday
    starred = drawn[2][0].startswith("*") or drawn[4][0].startswith("*")
    on_day = (by_day and by_weekday) if starred else (by_day or by_weekday)
    return wall.minute in minute and wall.hour in hour and wall.month in month and on_day


def minute_by_minute(
    drawn: tuple[Field, ...], zone: ZoneInfo, begin: datetime, end: datetime
) -> Iterator[datetime]:
    """Watch the wall's clock for every minute: what cron does."""
    by_clock = drawn[0][0].startswith("*") or drawn[1][0].startswith("*")
    at = begin - timedelta(hours=4)
    reached = at.astimezone(zone).replace(tzinfo=None)
    while at < end:
        at += MINUTE
        wall = at.astimezone(zone).replace(tzinfo=None)
        fresh = [reached + MINUTE * n for n in range(1, (wall - reached) // MINUTE + 1)]
        if at > begin and (names(drawn, wall) if by_clock else any(names(drawn, w) for w in fresh)):
            yield at
        reached = max(reached, wall)


@settings(max_examples=40, deadline=None)
@given(drawn=DRAWN, change=st.sampled_from(CHANGES), early=st.integers(0, 1600))
def test_no_minute_is_left_out_and_none_is_made_up(
    drawn: tuple[Field, ...], change: tuple[str, str], early: int
) -> None:
    name, day = change
    begin = (
        datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(name)) - MINUTE * early
    ).astimezone(UTC)
    end = begin + timedelta(days=1, hours=6)
    cron = " ".join(part[0] for part in drawn)
    try:
        calendar = Calendar(cron, name)
    except BadExpression:  # such as the 31st of a month that is drawn without one
        return
    found, coming = [], calendar.after(begin)
    while coming and coming.at <= end:
        found.append(coming.at)
        assert calendar.holds(coming)
        coming = calendar.after(coming.at, beyond=coming.local)
    assert found == list(minute_by_minute(drawn, ZoneInfo(name), begin, end))


@pytest.mark.parametrize(
    ("cron", "code"),
    [
        *[
            (text, "invalid")
            for text in ("", "* * * *", "* * * * * *", "61 * * * *", "* * * * MOON")
        ],
        *[(text, "invalid") for text in ("@reboot", "1-0 * * * *", "*/0 * * * *", "² * * * *")],
        *[(text, "never") for text in ("0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *")],
        *[(text, "never") for text in ("* * */20 * 1L", "0 0 * 2 MON#5")],
    ],
)
def test_what_is_no_expression_or_never_comes_is_refused(cron: str, code: str) -> None:
    with pytest.raises(BadExpression) as refused:
        parse(cron)
    assert refused.value.code == code


def test_a_refusal_names_the_fields_that_are_wrong() -> None:
    with pytest.raises(BadExpression, match="minute, day-of-week"):
        parse("60 0 * * 9")


@given(st.text(st.sampled_from("0123456789*/,-#LWMONSUJAF@ ²\u2003"), max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        first = Calendar(text, "UTC").after(datetime(2026, 1, 1, tzinfo=UTC))
    except BadExpression:
        return
    assert first is not None


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "tzdata.zi"]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone):
        Calendar("@daily", name)
    assert name not in zone_names()


def test_other_time_zone_data_moves_an_occurrence_and_repeats_none() -> None:
    """Nine o'clock came, then the data says that the clock had to be set back: not once more."""
    calendar = Calendar("0 9 * * *", BERLIN)
    old = Occurrence(datetime(2026, 1, 1, 7, tzinfo=UTC), datetime(2026, 1, 1, 9))  # noqa: DTZ001
    assert not calendar.holds(old)
    coming = calendar.after(old.at, beyond=old.local)
    assert coming
    assert coming.at == datetime(2026, 1, 2, 8, tzinfo=UTC)
