"""What an attempt means for its delivery: ended, or due again, and when. Pure functions.

The destination's schedule counts only failures that the destination gave (contract §5.4).
Seconds everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tasks_app.connectors.base import Verdict
from tasks_app.models import DeliveryState
from tasks_app.models.delivery import RANK_RETRY

JITTER: Final = 0.2
LONGEST_HOLD: Final = 86_400.0
FIRST_FAULT_DELAY, LONGEST_FAULT_DELAY = 1.0, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of a delivery before this attempt."""

    schedule: Sequence[int]
    failures: int  # that spent the schedule
    attempts: int  # that were settled
    age: float  # since the first attempt after it was last set going
    once: bool = False  # a ping: one attempt, never retried


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What to write down."""

    state: DeliveryState
    delay: float = 0.0
    spent: int = 0
    rank: int | None = None  # None: as it was
    hold: float | None = None  # the whole destination, for so long
    pause: bool = False  # the whole destination, until somebody resumes it


def rule(
    history: History,
    *,
    verdict: Verdict,
    retry_after: float | None,
    jitter: float,
    max_age: float,
) -> Ruling:
    """Return the ruling on one attempt; ``jitter`` lies within [-1, 1]."""
    if verdict is Verdict.SUCCEEDED:
        return Ruling(state=DeliveryState.SUCCEEDED)
    if verdict is Verdict.STEP:
        return Ruling(state=DeliveryState.PENDING)
    if verdict is Verdict.FAILED:
        return _failed(history, hold_for(retry_after), jitter, max_age)
    if verdict is Verdict.GONE:
        state = DeliveryState.DEAD if history.once else DeliveryState.PENDING
        return Ruling(state=state, pause=True)
    if history.once or history.age > max_age:
        return Ruling(state=DeliveryState.DEAD)
    return Ruling(state=DeliveryState.PENDING, delay=fault_delay(history.attempts))


def _failed(history: History, hold: float | None, jitter: float, max_age: float) -> Ruling:
    is_last = history.once or history.failures >= len(history.schedule) or history.age > max_age
    if is_last:
        return Ruling(state=DeliveryState.DEAD, spent=1, hold=hold)
    delay = history.schedule[history.failures] * (1 + JITTER * jitter)
    return Ruling(
        state=DeliveryState.PENDING,
        delay=max(delay, hold or 0.0),
        spent=1,
        rank=RANK_RETRY,
        hold=hold,
    )


def hold_for(retry_after: float | None) -> float | None:
    """Return how long Retry-After holds the destination, capped at 24 h; None for not at all."""
    if retry_after is None or retry_after <= 0:
        return None
    return min(retry_after, LONGEST_HOLD)


def fault_delay(attempts: int) -> float:
    """Return the delay after a fault of ours: 1, 2, 4 … s with the attempts so far, to 10 min."""
    return float(min(FIRST_FAULT_DELAY * 2 ** min(attempts, 16), LONGEST_FAULT_DELAY))
