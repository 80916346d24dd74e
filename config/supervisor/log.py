"""One log for many processes: a prefix for each, in its colour where a person looks on.

Written by a thread of its own: a terminal that stopped scrolling must not stop supervision.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
LONGEST_LINE = 8_192
BACKLOG = 20_000


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether to colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR")


class Log:
    """Lines from all processes, whole and in the order in which they came."""

    def __init__(self, stream: TextIO, *, colour: bool, width: int = 10) -> None:
        self._stream = stream
        self._colour = colour
        self._width = width
        self._codes: dict[str, int] = {}
        self._lines: queue.Queue[str | None] = queue.Queue(BACKLOG)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def say(self, name: str, text: str) -> None:
        """Add the text, a prefix before each of its lines. Never waits: a flood is dropped."""
        for line in text.splitlines() or [""]:
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(f"{self._prefix(name)}{line}\n")

    def plain(self, text: str) -> None:
        """Add text without a prefix: lines that somebody may copy."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(text)

    def close(self) -> None:
        """Write what is left; gives up on a reader that has stalled."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=1)
        self._writer.join(timeout=2)

    def _prefix(self, name: str) -> str:
        label = f"{name:<{self._width}} | "
        if not self._colour:
            return label
        code = self._codes.setdefault(name, COLOURS[len(self._codes) % len(COLOURS)])
        return f"\x1b[{code}m{label}\x1b[0m"

    def _write(self) -> None:
        # A reader that went away (`make up | head`) ends the log, not the processes.
        with contextlib.suppress(OSError, ValueError):
            while (line := self._lines.get()) is not None:
                self._stream.write(line)
                if self._lines.empty():
                    self._stream.flush()
            self._stream.flush()


class LineCutter:
    """Cuts a stream of bytes into lines; a line without end is cut at ``LONGEST_LINE``."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Hand on every line that is complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hand_on(line)
        while len(self._rest) > LONGEST_LINE:
            self._hand_on(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def end(self) -> None:
        """Hand on a last line that lacks its end."""
        if self._rest:
            self._hand_on(self._rest)
        self._rest = b""

    def _hand_on(self, line: bytes) -> None:
        self._take(line.decode(errors="replace").rstrip("\r"))
