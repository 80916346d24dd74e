"""When a delivery is tried again, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.connectors.base import Verdict
from tasks_app.delivery.retry import JITTER, LONGEST_HOLD, History, Ruling, fault_delay, rule
from tasks_app.models import DeliveryState
from tasks_app.models.destination import DEFAULT_RETRY_SCHEDULE

FOUR_DAYS = 4 * 86_400.0
schedules = st.lists(st.integers(0, 86_400), max_size=12)
jitters = st.floats(-1, 1)


def ruling(
    verdict: Verdict = Verdict.FAILED,
    *,
    failures: int = 0,
    attempts: int = 0,
    age: float = 0.0,
    schedule: list[int] | None = None,
    retry_after: float | None = None,
    jitter: float = 0.0,
    once: bool = False,
) -> Ruling:
    """Rule on one attempt."""
    history = History(
        schedule=DEFAULT_RETRY_SCHEDULE if schedule is None else schedule,
        failures=failures,
        attempts=attempts,
        age=age,
        once=once,
    )
    return rule(history, verdict=verdict, retry_after=retry_after, jitter=jitter, max_age=FOUR_DAYS)


@pytest.mark.parametrize(("failures", "delay"), list(enumerate(DEFAULT_RETRY_SCHEDULE)))
def test_each_failure_waits_for_its_place_in_the_schedule(failures: int, delay: int) -> None:
    ruled = ruling(failures=failures, attempts=failures)
    assert (ruled.state, ruled.delay, ruled.spent) == (DeliveryState.PENDING, delay, 1)


def test_the_eleventh_failure_of_the_default_schedule_is_the_last() -> None:
    assert ruling(failures=10).state == DeliveryState.DEAD


@given(schedules, st.integers(0, 20), jitters, st.none() | st.floats(0, 200_000))
def test_a_failure_ends_or_waits_within_jitter_and_never_before_retry_after(
    schedule: list[int], failures: int, jitter: float, retry_after: float | None
) -> None:
    ruled = ruling(schedule=schedule, failures=failures, jitter=jitter, retry_after=retry_after)
    assert ruled.spent == 1
    if failures >= len(schedule):
        assert ruled.state == DeliveryState.DEAD
        return
    planned = schedule[failures]
    asked = min(retry_after or 0.0, LONGEST_HOLD)
    assert ruled.delay >= max(planned * (1 - JITTER), asked) - 1e-6
    assert ruled.delay <= max(planned * (1 + JITTER), asked) + 1e-6


@given(schedules, jitters)
def test_every_schedule_comes_to_an_end(schedule: list[int], jitter: float) -> None:
    failures = 0
    while ruling(schedule=schedule, failures=failures, jitter=jitter).state != DeliveryState.DEAD:
        failures += 1
    assert failures == len(schedule)


def test_older_than_four_days_is_dead() -> None:
    assert ruling(age=FOUR_DAYS + 1).state == DeliveryState.DEAD
    assert ruling(age=FOUR_DAYS - 1).state == DeliveryState.PENDING


@given(st.integers(0, 10_000), st.integers(0, 10), st.floats(0, FOUR_DAYS))
def test_a_fault_of_ours_spends_nothing(attempts: int, failures: int, age: float) -> None:
    ruled = ruling(Verdict.FAULT, attempts=attempts, failures=failures, age=age)
    assert (ruled.state, ruled.spent) == (DeliveryState.PENDING, 0)
    assert 1 <= ruled.delay <= 600


def test_a_fault_that_lasts_for_four_days_is_dead_too() -> None:
    ruled = ruling(Verdict.FAULT, age=FOUR_DAYS + 1)
    assert (ruled.state, ruled.spent) == (DeliveryState.DEAD, 0)


def test_faults_wait_longer_and_longer() -> None:
    delays = [fault_delay(attempts) for attempts in range(12)]
    assert delays == sorted(delays)
    assert delays[0] == 1.0
    assert delays[-1] == 600.0


def test_retry_after_holds_the_destination_for_a_day_at_most() -> None:
    assert ruling(retry_after=1e9).hold == LONGEST_HOLD
    assert ruling(retry_after=None).hold is None
    assert ruling(retry_after=0).hold is None


def test_410_pauses_and_spends_nothing() -> None:
    ruled = ruling(Verdict.GONE, failures=3)
    assert ruled == Ruling(state=DeliveryState.PENDING, delay=0.0, spent=0, pause=True)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.GONE, Verdict.FAULT])
def test_a_ping_is_tried_once(verdict: Verdict) -> None:
    assert ruling(verdict, once=True).state == DeliveryState.DEAD


def test_success_ends() -> None:
    assert ruling(Verdict.SUCCEEDED, retry_after=5) == Ruling(state=DeliveryState.SUCCEEDED)
