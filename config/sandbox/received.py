"""What the sandbox received: numbered, bounded in count and bytes, read from any number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

MAX_ENTRIES: Final = 200_000
MAX_BYTES: Final = 256 * 2**20
MAX_BODY: Final = 64 * 1024
"""How much of one body is kept."""


@dataclass(slots=True, kw_only=True)
class Received:
    """One request; `status` is None until it is answered."""

    n: int
    at: float
    method: str
    path: str
    webhook_id: str
    attempt: str
    sequence: str
    signature: str
    body: bytes
    status: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Show it as `GET /received` does."""
        return {
            "n": self.n,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds"),
            "method": self.method,
            "path": self.path,
            "webhook_id": self.webhook_id,
            "attempt": _number(self.attempt),
            "sequence": _number(self.sequence),
            "signature": self.signature,
            "status": self.status,
            "body": self.body.decode(errors="replace"),
        }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class ReceivedLog:
    """The newest requests. Numbers grow by one for each, also over `clear`."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._entries: list[Received] = []
        self._gone = 0  # entries at the front of the list that are dropped but not yet cut off
        self._bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.last = 0

    def __len__(self) -> int:
        return len(self._entries) - self._gone

    @property
    def first(self) -> int:
        """The lowest number that is still kept; `last + 1` when nothing is."""
        return self.last + 1 - len(self)

    def add(self, *, body: bytes, **values: Any) -> Received:
        """Keep a request, and drop the oldest ones where there are too many."""
        self.last += 1
        entry = Received(n=self.last, body=body[:MAX_BODY], **values)
        self._entries.append(entry)
        self._bytes += len(entry.body)
        while len(self) > self._max_entries or (self._bytes > self._max_bytes and len(self) > 1):
            self._drop_oldest()
        return entry

    def after(self, number: int, *, limit: int) -> Iterator[Received]:
        """Give the requests with a higher number, oldest first: the cost is that of the page."""
        start = self._gone + max(number + 1 - self.first, 0)
        return iter(self._entries[start : start + limit])

    def clear(self) -> None:
        """Forget all; the next number follows the last one all the same."""
        self._entries = []
        self._gone = self._bytes = 0

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._entries[self._gone].body)
        self._gone += 1
        # Cutting a list's front costs its length: do it once in a while, not for each.
        if self._gone > 10_000 or self._gone * 2 > len(self._entries):
            del self._entries[: self._gone]
            self._gone = 0
