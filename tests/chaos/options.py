"""What SEED, MINUTES and RATE say."""

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


def read_options() -> Options:
    """Read the environment; makes the folder, empty. Raises ValueError on what is no number."""
    seed = os.environ.get("SEED") or str(secrets.randbelow(10**6))
    options = Options(
        seed=int(seed),
        minutes=float(os.environ.get("MINUTES") or 5),
        rate=float(os.environ.get("RATE") or 25),
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("*.jsonl"):
        old.unlink()
    return options
