"""A file cut into records, each with where it ends, so that reading can go on there.

Memory is bounded whatever the file holds: a line of 10 MB is a record that can't be taken, and the
next one begins on the line after. Every byte is read once: a quote that stays open at the end of
its line, and is never closed as it should be, ends the file there. What follows might be text or
rows, and nobody can tell which.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_RECORD: Final = 1024 * 1024  # bytes; as much as the body of a request
TOO_LARGE: Final = "row_too_large", f"A row has at most {MAX_RECORD} bytes."
UNCLOSED: Final = (
    "unclosed_quote",
    "A quote opened here spans lines and is not closed within 1 MiB, or not at a cell's end.",
)

csv.field_size_limit(MAX_RECORD)  # of the process: a long cell is for the rules of the API to judge

Content = list[str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Cells (CSV) or a line (NDJSON); or ``wrong``, a code and a sentence, instead.

    ``size`` and ``lines`` say how much of the file it takes up. A blank one is no row. After one
    that is ``lost``, nothing can be read.
    """

    content: Content
    size: int
    lines: int
    wrong: tuple[str, str] | None = None
    lost: bool = False

    @property
    def is_blank(self) -> bool:
        """Tell whether there is nothing on its line."""
        return self.wrong is None and not self.content


@dataclass(frozen=True, slots=True)
class _Line:
    """One line with its end; None where it is too long to be kept."""

    data: bytes | None
    size: int


class _Refused(Exception):
    """This record is too long."""


def ndjson_records(pieces: Iterator[bytes]) -> Iterator[Record]:
    """Yield one record a line."""
    for line in _lines(pieces):
        content = b"" if line.data is None else line.data.strip()
        wrong = TOO_LARGE if line.data is None else None
        yield Record(content=content, size=line.size, lines=1, wrong=wrong)


def csv_records(pieces: Iterator[bytes], *, delimiter: str) -> Iterator[Record]:
    """Yield the records of a CSV file (RFC 4180), which may span lines; a lost one is the last."""
    lines = _lines(pieces)
    while True:
        taken: list[_Line] = []
        try:
            cells = next(csv.reader(_texts(lines, taken), delimiter=delimiter, strict=True), None)
        except (_Refused, csv.Error) as error:
            record = _refused(error, taken)
            yield record
            if record.lost:
                return
            continue
        if cells is None:
            return
        size = sum(line.size for line in taken)
        yield Record(content=cells if any(cells) else [], size=size, lines=len(taken))


def _refused(error: Exception, taken: Sequence[_Line]) -> Record:
    """Return what can't be read: a line; or, where a quote spans lines, all from here on."""
    size, lines = sum(line.size for line in taken), len(taken)
    if lines > 1:
        return Record(content=[], size=size, lines=lines, wrong=UNCLOSED, lost=True)
    wrong = TOO_LARGE
    if isinstance(error, csv.Error):
        wrong = "malformed_row", f"This is not CSV as RFC 4180 has it: {error}."
    return Record(content=[], size=size, lines=lines, wrong=wrong)


def _texts(lines: Iterator[_Line], taken: list[_Line]) -> Iterator[str]:
    """Hand out lines as a record asks for them, and note which it took."""
    size = 0
    for line in lines:
        taken.append(line)
        size += line.size
        if line.data is None or size > MAX_RECORD:
            raise _Refused
        yield line.data.decode()


def _lines(pieces: Iterator[bytes]) -> Iterator[_Line]:
    """Yield lines, each with its end, however the file was cut."""
    begun, dropped = b"", 0
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for part in whole:
            yield _line(begun + part + b"\n", dropped)
            begun, dropped = b"", 0
        begun += rest
        if len(begun) > MAX_RECORD:
            begun, dropped = b"", dropped + len(begun)
    if begun or dropped:
        yield _line(begun, dropped)


def _line(data: bytes, dropped: int) -> _Line:
    size = len(data) + dropped
    return _Line(None if size > MAX_RECORD else data, size)
