"""The four records, and the faults: plain values, one JSON line each on disk.

Nothing of the product is imported here or in the checker: what it promises is judged by what
came over the wire, not by what its own code believes.
"""

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CHANGES = {"create": "task_created", "update": "task_updated", "delete": "task_deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one client was told; ``status`` 0 where no answer came. Times are Unix seconds."""

    asked: float
    answered: float
    op: str  # create, update, delete, or refused: one that must change nothing
    request_id: str
    status: int
    task: str = ""
    version: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One event of the log."""

    seq: int
    id: str
    type: str
    request_id: str
    task: str
    version: int
    at: float = 0.0
    path: str = ""  # of the destination that it tells of
    of: int = 0  # the event that was delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One request as a destination got it; ``status`` None where it was never answered."""

    n: int
    at: float
    path: str
    message: str  # webhook-id
    seq: int
    event: str
    task: str
    version: int
    status: int | None
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One frame as a follower got it."""

    follower: str
    kind: str  # event, reset
    seq: int
    id: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What was done to the house, and to whom. Times are Unix seconds."""

    kind: str
    target: str
    began: float
    ended: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A delivery that had not ended when it should have been under way; ``due`` Unix seconds."""

    id: str
    destination: str
    state: str
    due: float
    attempts: int
    held: bool  # its destination takes nothing now: it asked to wait, or its circuit is open
    message: str = ""  # webhook-id


@dataclass(slots=True, kw_only=True)
class Records:
    """All that is known of one run."""

    told: list[Told] = field(default_factory=list)
    logged: list[Logged] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)  # of the destinations that want everything
    newest: list[str] = field(default_factory=list)  # of those that want a task's last state
    slots: int = 0  # attempts that can be in flight at once, over all destinations
    followers: dict[str, list[str]] = field(default_factory=dict)  # name: the types it wants
    open_after: list[Open] = field(default_factory=list)  # 15 s after the last fault
    looked_at: float = 0.0  # when open_after was read, Unix seconds
    open_at_end: list[Open] = field(default_factory=list)


class Diary:
    """A file of JSON lines that several threads write; each line is on its way at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def write(self, entry: Any) -> None:
        """Append one record, a dataclass or a mapping."""
        value = entry if isinstance(entry, dict) else asdict(entry)
        line = json.dumps(value, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_all(path: Path, entries: Iterable[Any]) -> None:
    """Write a whole record."""
    diary = Diary(path)
    for entry in entries:
        diary.write(entry)
    diary.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return what was written, line by line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
