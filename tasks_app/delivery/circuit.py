"""When a destination is left alone, and how it is taken up again. Pure functions.

Closed until 5 failures in a row, or half of at least 10 attempts within 60 s. Then open for 30 s,
doubling to 10 min; then one probe; then a ramp of 1, 2, 4, 8 … sends a second. Times are seconds
of the database's clock.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tasks_app.connectors.base import ErrorCode, Outcome, Verdict
from tasks_app.models import CircuitState

IN_ROW: Final = 5
WINDOW: Final = 60
SLOT: Final = 5
LEAST: Final = 10
FIRST_OPEN: Final = 30.0
LONGEST_OPEN: Final = 600.0
CALM: Final = 600.0
"""Closed for so long, and the next opening is again the shortest."""
TOO_MANY: Final = frozenset({408, 429})
REFUSALS: Final = frozenset(
    {ErrorCode.HTTP_3XX, ErrorCode.HTTP_4XX, ErrorCode.SMTP_5XX, ErrorCode.TWIN_ID_MISSING}
)


class Sign(StrEnum):
    """What an attempt says about whether its destination is up."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One circuit. ``recent``: slot, up, down; slot, up, down; … of the last minute."""

    state: CircuitState = CircuitState.CLOSED
    era: int = 0
    since: float = 0.0
    until: float | None = None
    trips: int = 0
    in_row: int = 0
    recent: tuple[int, ...] = ()


def was_asked(outcome: Outcome) -> bool:
    """Tell whether the destination had a part in it: a mirror may find that nothing is to be done.

    What succeeds without an answer and without a phase that was reached says nothing of who is
    there.
    """
    is_done = outcome.verdict in {Verdict.SUCCEEDED, Verdict.STEP}
    return not is_done or outcome.status_code is not None or bool(outcome.phases)


def sign_of(outcome: Outcome) -> Sign:
    """Return what an attempt says.

    Down: no complete answer, 5xx (of SMTP 4xx), 408, 429. Any other answer shows that somebody is
    there: one message that is refused with 400 must not stop the others. What is our doing, and
    what never left, says nothing; nor does 410, which pauses.
    """
    if outcome.verdict in {Verdict.FAULT, Verdict.GONE} or not was_asked(outcome):
        return Sign.NONE
    if outcome.verdict is not Verdict.FAILED:
        return Sign.UP
    if outcome.error is ErrorCode.ADDRESS_REFUSED:
        return Sign.NONE
    is_refusal = outcome.error in REFUSALS
    return Sign.UP if is_refusal and outcome.status_code not in TOO_MANY else Sign.DOWN


def after(breaker: Breaker, signs: Iterable[tuple[int, Sign]], *, now: float, most: int) -> Breaker:
    """Return the circuit after attempts, in the order they ended, each with the era of its lease.

    An attempt that was leased before the circuit last changed says nothing any more. ``most`` is
    how many sends a second the destination's own limits would allow at least.
    """
    for era, sign in signs:
        if era == breaker.era and sign is not Sign.NONE:
            breaker = _after_one(breaker, sign, now, most)
    return breaker


def _after_one(breaker: Breaker, sign: Sign, now: float, most: int) -> Breaker:
    if breaker.state is CircuitState.OPEN:
        return _opened(breaker, now) if sign is Sign.DOWN else _ramping(breaker, now, most)
    breaker = _counted(breaker, sign, now)
    return _opened(breaker, now) if _is_enough(breaker) else breaker


def _counted(breaker: Breaker, sign: Sign, now: float) -> Breaker:
    slot, flat = int(now // SLOT), breaker.recent
    kept = {at: (up, down) for at, up, down in zip(flat[::3], flat[1::3], flat[2::3], strict=True)}
    up, down = kept.get(slot, (0, 0))
    kept[slot] = (up + (sign is Sign.UP), down + (sign is Sign.DOWN))
    alive = [(at, *n) for at, n in kept.items() if at > slot - WINDOW // SLOT]
    return replace(
        breaker,
        in_row=breaker.in_row + 1 if sign is Sign.DOWN else 0,
        recent=tuple(number for one in alive for number in one),
    )


def _is_enough(breaker: Breaker) -> bool:
    up, down = sum(breaker.recent[1::3]), sum(breaker.recent[2::3])
    return breaker.in_row >= IN_ROW or (up + down >= LEAST and down >= up)


def _opened(breaker: Breaker, now: float) -> Breaker:
    is_calm = breaker.state is CircuitState.CLOSED and now - breaker.since >= CALM
    trips = 1 if is_calm else breaker.trips + 1
    return Breaker(
        state=CircuitState.OPEN,
        era=breaker.era + 1,
        since=now,
        until=now + min(FIRST_OPEN * 2 ** min(trips - 1, 16), LONGEST_OPEN),
        trips=min(trips, 1000),
    )


def _ramping(breaker: Breaker, now: float, most: int) -> Breaker:
    return Breaker(
        state=CircuitState.RAMPING,
        era=breaker.era + 1,
        since=now,
        until=now + math.ceil(math.log2(max(most, 1))),
        trips=breaker.trips,
    )
