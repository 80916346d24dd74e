"""A cursor: how far a client has read, as ``<seq>`` or ``<epoch>.<seq>``."""

import re
from dataclasses import dataclass

_CURSOR = re.compile(r"(?:(?P<epoch>[0-9A-Za-z]{1,16})\.)?(?P<seq>[0-9]{1,30})", re.ASCII)


class BadCursor(ValueError):
    """The text is no cursor."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log."""

    seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log; without an epoch it means the log there is now."""

    seq: int
    epoch: str | None = None

    def lies_in(self, head: Head) -> bool:
        """Tell whether this log, ending at that head, can have given out this cursor."""
        return self.seq <= head.seq and self.epoch in {None, head.epoch}


def parse_cursor(text: str) -> Cursor:
    """Return the cursor; raises BadCursor where the text is none."""
    found = _CURSOR.fullmatch(text.strip())
    if not found:
        raise BadCursor("A cursor is <seq> or <epoch>.<seq>.")
    return Cursor(int(found["seq"]), found["epoch"])
