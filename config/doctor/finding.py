"""What a look has found: how bad it is, in a sentence, and what to do about it. Never a secret."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """FAIL: something that was promised does not work. WARN: it will not, or not for long."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    level: Level
    check: str
    said: str
    advice: str = ""


Look = Callable[[], Iterator[Finding]]


def ok(check: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, check, said)


def warn(check: str, said: str, advice: str) -> Finding:
    """Return a warning and what to do."""
    return Finding(Level.WARN, check, said, advice)


def fail(check: str, said: str, advice: str) -> Finding:
    """Return a failure and what to do."""
    return Finding(Level.FAIL, check, said, advice)
