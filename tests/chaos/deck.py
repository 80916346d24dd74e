"""What will be done to the house, and when: drawn from a seed before the first process starts."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One fault: ``at`` seconds after the beginning, for ``lasts`` seconds at most."""

    at: float
    kind: str
    target: str
    lasts: float
    dice: float  # in [0, 1): whatever else there is to choose


#: kind: (how often in one deck, targets, shortest and longest time in seconds)
DECK: dict[str, tuple[int, tuple[str, ...], float, float]] = {
    "kill api": (2, ("api", "api-2"), 0, 0),
    "kill stream": (2, ("stream", "stream-2"), 0, 0),
    "kill worker": (4, ("worker-1", "worker-2"), 0, 0),
    "kill beat": (1, ("beat", "beat-2"), 0, 0),
    "kill proxy": (1, ("proxy",), 0, 0),
    "kill valkey": (2, ("valkey",), 0.2, 3),
    "kill postgres": (2, ("postgres",), 0.1, 2),
    "stop worker": (2, ("worker-1", "worker-2"), 7, 14),
    "flushall": (1, ("valkey",), 0, 0),
    "silent broker": (1, ("valkey",), 3, 8),
    "cut broker": (1, ("valkey",), 0, 0),
    "cut database": (1, ("postgres",), 0, 0),
    "cut followers": (2, ("house",), 0, 0),
    "cut destination": (1, ("sandbox",), 0, 0),
    "pause destination": (1, ("destination",), 1, 6),
    "skewed worker": (1, ("skewed",), 12, 25),
}
GAP = (2.0, 6.0)  # seconds between two
LEASE = 47.0  # seconds: a destination's 15, the margin's 30, and some
EARLY = 0.6  # the share of a run in which what takes long to get over may happen
BROKER_DOWN = 60.0  # seconds, of five minutes


def draw(*, seed: int, seconds: float) -> list[Card]:
    """Return the faults of one run in the order of their times; the same for the same seed.

    Decks are shuffled one after the other, so that every kind comes before any comes again.
    """
    dice = random.Random(seed)
    cards = [*_long_ones(dice, seconds)]
    now = dice.uniform(*GAP)
    while now < seconds:
        for kind in _shuffled(dice):
            card = _card(dice, kind, now)
            if card.at + card.lasts < seconds and not (
                _heals_slowly(kind) and now > seconds * EARLY
            ):
                cards.append(card)
            now += dice.uniform(*GAP)
    return sorted(cards, key=lambda card: card.at)


def _long_ones(dice: random.Random, seconds: float) -> list[Card]:
    """Return what comes once: a broker that is away for long, and a sleep past every lease."""
    down = BROKER_DOWN * min(1.0, seconds / 300)
    first = seconds * dice.uniform(0.15, 0.35)
    cards = [_made(dice, first, "broker down", "valkey", down)]
    if seconds > 3 * LEASE:
        at = seconds * dice.uniform(0.4, 0.55)
        cards.append(
            _made(dice, at, "sleep past lease", dice.choice(DECK["stop worker"][1]), LEASE)
        )
    return cards


def _shuffled(dice: random.Random) -> list[str]:
    deck = [kind for kind, (times, *_) in DECK.items() for _ in range(times)]
    dice.shuffle(deck)
    return deck


def _card(dice: random.Random, kind: str, at: float) -> Card:
    _, targets, shortest, longest = DECK[kind]
    return _made(dice, at, kind, dice.choice(targets), dice.uniform(shortest, longest))


def _made(dice: random.Random, at: float, kind: str, target: str, lasts: float) -> Card:
    return Card(
        at=round(at, 3), kind=kind, target=target, lasts=round(lasts, 3), dice=dice.random()
    )


def _heals_slowly(kind: str) -> bool:
    """Tell whether a destination may rightly be left alone for a while after it."""
    return kind == "cut destination"
