"""Messages to clients, each turned into bytes once, however many followers read it.

What a server sends is not masked and, without permessage-deflate, the same for every client:
so even the WebSocket framing (RFC 6455 §5.2) is shared, and telling a follower is one write.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import orjson


class Sendable(Protocol):
    """Anything a line can write."""

    @property
    def texts(self) -> Sequence[bytes]:
        """The JSON texts, for a server that does its own framing."""

    @property
    def websocket(self) -> bytes:
        """Whole WebSocket frames."""

    @property
    def event_stream(self) -> bytes:
        """Whole blocks of ``text/event-stream``."""


class Frame:
    """One message. ``cursor`` becomes the SSE ``id:``, ``name`` the SSE ``event:``."""

    def __init__(self, message: dict[str, Any], *, cursor: str = "", name: str = "") -> None:
        self.message = message
        self.cursor = cursor
        self.name = name
        self.text: bytes = orjson.dumps(message)

    @property
    def texts(self) -> Sequence[bytes]:
        """The one JSON text."""
        return (self.text,)

    @cached_property
    def websocket(self) -> bytes:
        """One unfragmented text frame."""
        return _frame_header(len(self.text)) + self.text

    @cached_property
    def event_stream(self) -> bytes:
        """One event (WHATWG HTML §9.2.6); a JSON text has no line breaks of its own."""
        lines = [b"id: " + self.cursor.encode() + b"\n"] if self.cursor else []
        if self.name:
            lines.append(b"event: " + self.name.encode() + b"\n")
        return b"".join([*lines, b"data: ", self.text, b"\n\n"])


class EventFrame(Frame):
    """An event of the log."""

    def __init__(self, wire: dict[str, Any], *, epoch: str) -> None:
        self.seq: int = wire["seq"]
        super().__init__(wire, cursor=f"{epoch}.{self.seq}")


class HeadFrame(Frame):
    """How far a follower is, though nothing came for it; to SSE a bare ``id:`` line."""

    def __init__(self, seq: int, *, epoch: str) -> None:
        super().__init__({"type": "head", "seq": seq}, cursor=f"{epoch}.{seq}")

    @cached_property
    def event_stream(self) -> bytes:
        """Set the client's last event id without an event."""
        return b"id: " + self.cursor.encode() + b"\n\n"


class Batch:
    """Consecutive events of one log, told in one write."""

    def __init__(self, frames: Sequence[EventFrame]) -> None:
        self.frames = frames
        self.first, self.last = frames[0].seq, frames[-1].seq

    @property
    def texts(self) -> Sequence[bytes]:
        """Each event's JSON text."""
        return [frame.text for frame in self.frames]

    @cached_property
    def websocket(self) -> bytes:
        """A frame for each event, end to end."""
        return b"".join([frame.websocket for frame in self.frames])

    @cached_property
    def event_stream(self) -> bytes:
        """A block for each event, end to end."""
        return b"".join([frame.event_stream for frame in self.frames])


def in_batches(frames: Sequence[EventFrame], most_bytes: int) -> list[Batch]:
    """Cut consecutive events into batches of about that size, so that no write is huge."""
    batches: list[Batch] = []
    start = size = 0
    for index, frame in enumerate(frames):
        size += len(frame.text)
        if size >= most_bytes:
            batches.append(Batch(frames[start : index + 1]))
            start, size = index + 1, 0
    if start < len(frames):
        batches.append(Batch(frames[start:]))
    return batches


def _frame_header(length: int) -> bytes:
    """Return FIN, opcode text and the payload's length (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 0x1_0000:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
