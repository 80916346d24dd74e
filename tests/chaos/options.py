"""What SEED, MINUTES and RATE say."""

import math
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

DATA = Path(".data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of one run."""

    seed: int
    minutes: float  # of storm; starting, calming down and comparing come on top
    rate: float  # requests a second, all clients together

    @property
    def seconds(self) -> float:
        """How long faults happen."""
        return self.minutes * 60

    @property
    def folder(self) -> Path:
        """Where the run's records go."""
        return DATA / "chaos" / str(self.seed)

    @property
    def report(self) -> Path:
        """The one file to keep."""
        return DATA / "chaos" / f"{self.seed}.json"


def _number(name: str, default: float, *, low: float, high: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise SystemExit(f"{name} must be a number from {low:g} to {high:g}, not {text!r}.")
    return value


def read_options() -> Options:
    """Read the environment; makes the folder, empty. Raises SystemExit with a sentence."""
    options = Options(
        seed=int(_number("SEED", secrets.randbelow(10**6), low=0, high=10**12)),
        minutes=_number("MINUTES", 5, low=0.5, high=600),
        rate=_number("RATE", 25, low=1, high=1000),
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("*.jsonl"):
        old.unlink()
    return options
