"""When a circuit opens and for how long, and what any answer means for all concerned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.connectors.base import Envelope, ErrorCode, Outcome, Verdict
from tasks_app.connectors.http import Answer
from tasks_app.connectors.retry_after import CAP_SECONDS
from tasks_app.connectors.webhook import judged
from tasks_app.delivery.circuit import FIRST_OPEN, LONGEST_OPEN, Breaker, Sign, after, sign_of
from tasks_app.delivery.retry import JITTER, History, Ruling, rule
from tasks_app.delivery.streak import FEWEST, Streak, streak_after
from tasks_app.models import CircuitState, DeliveryState

UP, DOWN, NONE = Sign.UP, Sign.DOWN, Sign.NONE
SCHEDULE, FOUR_DAYS, DAY = [5, 30, 300], 4 * 86_400.0, 86_400
many = st.lists(st.sampled_from([UP, DOWN, NONE]), max_size=80)


def through(breaker: Breaker, *seen: Sign, now: float = 10_000.0, most: int = 10) -> Breaker:
    """Return the circuit after attempts of its present era."""
    return after(breaker, [(breaker.era, sign) for sign in seen], now=now, most=most)


def failed_probes(count: int) -> list[Breaker]:
    """Return an open circuit, and as it is after each of so many probes that failed."""
    circuits = [through(Breaker(), *[DOWN] * 5)]
    for _ in range(count):
        circuits.append(through(circuits[-1], DOWN, now=circuits[-1].until or 0.0))
    return circuits


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    four = through(Breaker(), *[DOWN] * 4)
    assert four.state is CircuitState.CLOSED
    opened = through(four, DOWN)
    assert (opened.state, opened.until) == (CircuitState.OPEN, 10_000 + FIRST_OPEN)
    assert through(four, UP, *[DOWN] * 4).state is CircuitState.CLOSED


def test_half_of_ten_within_a_minute_open_it() -> None:
    mixed = [DOWN, UP] * 4
    assert through(Breaker(), *mixed, UP).state is CircuitState.CLOSED
    assert through(Breaker(), *mixed, UP, DOWN).state is CircuitState.OPEN
    assert through(Breaker(), *mixed, UP, UP, DOWN).state is CircuitState.CLOSED
    old = through(Breaker(), *mixed, now=10_000)
    assert through(old, UP, DOWN, now=10_054).state is CircuitState.OPEN
    assert through(old, UP, DOWN, now=10_065).state is CircuitState.CLOSED


@given(many)
def test_it_opens_exactly_when_the_rule_says_so(seen: list[Sign]) -> None:
    said = [sign for sign in seen if sign is not NONE]
    expected = next((n for n in range(1, len(said) + 1) if _is_too_bad(said[:n])), None)
    opened = through(Breaker(), *seen)
    assert (opened.state is CircuitState.OPEN) == (expected is not None)


def _is_too_bad(said: Sequence[Sign]) -> bool:
    half = len(said) >= 10 and 2 * said.count(DOWN) >= len(said)
    return half or (len(said) >= 5 and set(said[-5:]) == {DOWN})


@given(many, st.integers(-3, 3).filter(bool))
def test_what_was_leased_in_another_era_says_nothing(seen: list[Sign], other: int) -> None:
    for breaker in (Breaker(era=7), through(Breaker(era=6), *[DOWN] * 5)):
        late = [(breaker.era + other, sign) for sign in seen]
        assert after(breaker, late, now=10_001.0, most=10) == breaker


def test_each_failed_probe_doubles_the_wait_up_to_ten_minutes() -> None:
    waits = [(one.until or 0.0) - one.since for one in failed_probes(7)]
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]
    assert all(one.state is CircuitState.OPEN for one in failed_probes(7))


@pytest.mark.parametrize(("most", "seconds"), [(1, 0), (2, 1), (10, 4), (100, 7)])
def test_a_probe_that_succeeds_begins_a_ramp(most: int, seconds: int) -> None:
    opened = failed_probes(2)[-1]
    ramping = through(opened, UP, now=11_000, most=most)
    assert (ramping.state, ramping.until) == (CircuitState.RAMPING, 11_000 + seconds)
    again = through(ramping, *[DOWN] * 5, now=11_001)
    assert again.until == 11_001 + 240


def test_a_probe_that_says_nothing_changes_nothing() -> None:
    opened = through(Breaker(), *[DOWN] * 5)
    assert through(opened, NONE) == opened


def test_one_that_was_calm_for_long_begins_with_the_shortest_wait_again() -> None:
    calm = Breaker(state=CircuitState.CLOSED, since=10_000, trips=6)
    assert through(calm, *[DOWN] * 5, now=10_100).until == 10_100 + LONGEST_OPEN
    assert through(calm, *[DOWN] * 5, now=10_700).until == 10_700 + FIRST_OPEN


@given(st.lists(st.tuples(st.sampled_from([UP, DOWN]), st.floats(0, 40)), max_size=200))
def test_what_is_remembered_stays_small(seen: list[tuple[Sign, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for sign, pause in seen:
        now += pause
        breaker = through(breaker, sign, now=now)
        assert len(breaker.recent) <= 3 * 12


# What the header may look like, and the seconds it asks for; None: it asks for nothing.
SECONDS = st.integers(0, 10**12).map(lambda n: (str(n), float(n)))
DATES = st.integers(-(10**6), 10**6).map(
    lambda n: (format_datetime(datetime.now(UTC) + timedelta(seconds=n), usegmt=True), float(n))
)
GARBAGE = st.sampled_from(["", "-1", "-86400", "1.5", "soon", "5, 10", "9" * 70, "\xff\x00", "٣"])
FORMS = st.one_of(SECONDS, DATES, GARBAGE.map(lambda text: (text, None)))


@given(st.integers(100, 599), st.lists(FORMS, max_size=3), st.integers(0, 4), st.floats(-1, 1))
def test_every_status_with_every_form_of_retry_after(
    status: int, forms: list[tuple[str, float | None]], failures: int, jitter: float
) -> None:
    """From the answer as it came off the wire to delivery, schedule, hold and circuit."""
    outcome = judged(_answer(status, [text for text, _ in forms]), _envelope())
    history = History(schedule=SCHEDULE, failures=failures, attempts=failures, age=0.0)
    ruling = rule(
        history,
        verdict=outcome.verdict,
        retry_after=outcome.retry_after,
        jitter=jitter,
        max_age=FOUR_DAYS,
    )
    asked = min(max((s for _, s in forms if s is not None), default=0.0), CAP_SECONDS)
    if 200 <= status < 300:
        assert ruling == Ruling(state=DeliveryState.SUCCEEDED)
    elif status == 410:
        assert ruling == Ruling(state=DeliveryState.PENDING, pause=True)
    else:
        _check_failure(ruling, failures, asked)
    assert sign_of(outcome) is _expected_sign(status)


def _check_failure(ruling: Ruling, failures: int, asked: float) -> None:
    """Dates are read a moment later than they were written, and have whole seconds."""
    assert ruling.spent == 1
    if asked > 2:
        assert ruling.hold == pytest.approx(asked, abs=2)
    elif asked <= 0:
        assert ruling.hold is None
    if failures >= len(SCHEDULE):
        assert ruling.state == DeliveryState.DEAD
    else:
        assert ruling.state == DeliveryState.PENDING
        longest = SCHEDULE[failures] * (1 + JITTER)
        assert ruling.delay >= max(SCHEDULE[failures] * (1 - JITTER), (ruling.hold or 0)) - 1e-6
        assert ruling.delay <= max(longest, ruling.hold or 0) + 1e-6


def _expected_sign(status: int) -> Sign:
    if status == 410:
        return NONE
    down = status in {408, 429} or status >= 500 or status < 200
    return DOWN if down else UP


def _answer(status: int, said: Sequence[str]) -> Answer:
    raw = tuple((b"Retry-After", text.encode()) for text in said)
    headers = {"Retry-After": said[0]} if said else {}
    return Answer(
        status=status,
        headers=headers,
        raw_headers=raw,
        body=b"",
        is_whole=True,
        phases={},
        duration_ms=1.0,
    )


def _envelope() -> Envelope:
    return Envelope(
        message_id="msg_1",
        attempt=1,
        sequence=1,
        method="POST",
        url="http://127.0.0.1:9/",
        headers={},
        secrets=(),
        body=b"{}",
        timeout=15.0,
    )


@pytest.mark.parametrize("error", list(ErrorCode))
def test_whatever_kept_an_answer_from_coming_says_that_it_is_down(error: ErrorCode) -> None:
    failed = Outcome(verdict=Verdict.FAILED, error=error, phases={}, duration_ms=1.0)
    refusals = ("http_3xx", "http_4xx", "smtp_5xx", "twin_id_missing")
    expected = UP if error in refusals else NONE if error is ErrorCode.ADDRESS_REFUSED else DOWN
    assert sign_of(failed) is expected
    fault = Outcome(verdict=Verdict.FAULT, error=error, phases={}, duration_ms=1.0)
    assert sign_of(fault) is NONE


def test_only_days_of_nothing_but_failures_are_hopeless() -> None:
    streak = Streak()
    for hour in range(0, 5 * 24 + 1, 12):
        assert not streak.is_longer_than(5 * DAY)
        streak = streak_after(streak, [Verdict.FAILED, Verdict.FAULT], now=hour * 3600.0)
    assert streak.is_longer_than(5 * DAY)
    assert not streak_after(streak, [Verdict.SUCCEEDED], now=6.0 * DAY).is_longer_than(0)


def test_a_few_failures_far_apart_are_not_hopeless() -> None:
    streak = Streak()
    for n in range(FEWEST):
        assert not streak.is_longer_than(5 * DAY)
        streak = streak_after(streak, [Verdict.FAILED], now=n * 3.0 * DAY)
    assert streak.is_longer_than(5 * DAY)
