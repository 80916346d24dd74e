"""Retry-After in all its forms, and garbage ignored."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.connectors.retry_after import CAP_SECONDS, parse_retry_after

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

IMF = "%a, %d %b %Y %H:%M:%S GMT"
RFC850 = "%A, %d-%b-%y %H:%M:%S GMT"
ASCTIME = "%a %b %e %H:%M:%S %Y"

moments = st.datetimes(datetime(1990, 1, 1), datetime(2070, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(st.integers(0, 10**30))
def test_seconds_are_taken_up_to_a_day(seconds: int) -> None:
    assert parse_retry_after(f" {seconds}\t", now=NOW) == min(seconds, CAP_SECONDS)


@given(moments, st.sampled_from([IMF, RFC850, ASCTIME]))
def test_a_date_in_any_of_the_three_forms_is_taken_up_to_a_day(at: datetime, form: str) -> None:
    expected = min(max((at - NOW).total_seconds(), 0.0), CAP_SECONDS)
    assert parse_retry_after(at.strftime(form), now=NOW) == expected


@given(st.integers(0, 86_400))
def test_a_date_is_as_far_as_it_says(seconds: int) -> None:
    text = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(text, now=NOW) == seconds


def test_a_year_of_two_digits_is_never_more_than_50_years_ahead() -> None:
    # RFC 9110 §5.6.7: "98" is 1998, long past, and not 2098.
    assert parse_retry_after("Saturday, 21-Nov-98 12:00:00 GMT", now=NOW) == 0
    assert parse_retry_after("Saturday, 21-Nov-26 12:00:30 GMT", now=NOW) == 30


def test_a_leap_second_is_a_time() -> None:
    assert parse_retry_after("Sat, 21 Nov 2026 12:00:60 GMT", now=NOW) == 59


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+5",
        "1.5",
        "5s",
        "1e3",
        "٣",
        "0x10",
        "soon",
        "5, 10",
        "9" * 65,
        "\ud800",
        "Sat, 21 Nov 2026 12:00:00",
        "Sat, 21 Nov 2026 12:00:00 +0000",
        "Sat, 31 Feb 2026 12:00:00 GMT",
        "Sat, 21 Nov 2026 25:00:00 GMT",
        "Sat, 21 Nov 0000 12:00:00 GMT",
        "2026-11-21T12:00:00Z",
        "21 Nov 2026 12:00:00 GMT",
    ],
)
def test_garbage_is_ignored(text: str) -> None:
    assert parse_retry_after(text, now=NOW) is None


@given(st.text())
def test_any_text_is_a_number_of_seconds_or_nothing(text: str) -> None:
    found = parse_retry_after(text, now=NOW)
    assert found is None or 0 <= found <= CAP_SECONDS
