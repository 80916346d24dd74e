"""A file cut into records, each with where it ends, so that reading can go on there.

Memory is bounded whatever the file holds: a line of 10 MB, or a quote that nobody closes, is a
record that can't be taken, and the next one begins on the line after.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

MAX_RECORD: Final = 1024 * 1024  # bytes; as much as the body of a request
TOO_LARGE: Final = "row_too_large", f"A row has at most {MAX_RECORD} bytes."
UNCLOSED: Final = "malformed_row", "A quote is opened here and not closed within 1 MiB."

Content = list[str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Cells (CSV) or a line (NDJSON); or ``wrong``, a code and a sentence, instead.

    ``size`` and ``lines`` say how much of the file it takes up. A blank one is no row.
    """

    content: Content
    size: int
    lines: int
    wrong: tuple[str, str] | None = None

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
    """This record can't be read."""


def ndjson_records(pieces: Iterator[bytes]) -> Iterator[Record]:
    """Yield one record a line."""
    for line in _lines(pieces):
        content = b"" if line.data is None else line.data.strip()
        wrong = TOO_LARGE if line.data is None else None
        yield Record(content=content, size=line.size, lines=1, wrong=wrong)


def csv_records(pieces: Iterator[bytes], *, delimiter: str) -> Iterator[Record]:
    """Yield the records of a CSV file (RFC 4180), which may span lines."""
    lines = _lines(pieces)
    while True:
        taken: list[_Line] = []
        try:
            cells = next(csv.reader(_texts(lines, taken), delimiter=delimiter, strict=True), None)
        except (_Refused, csv.Error) as error:
            lines = chain(taken[1:], lines)
            yield Record(content=[], size=taken[0].size, lines=1, wrong=_why(error))
            continue
        if cells is None:
            return
        size = sum(line.size for line in taken)
        yield Record(content=cells if any(cells) else [], size=size, lines=len(taken))


def _why(error: Exception) -> tuple[str, str]:
    if isinstance(error, _Refused):
        code, detail = error.args
        return code, detail
    return "malformed_row", f"This is not CSV as RFC 4180 has it: {error}."


def _texts(lines: Iterator[_Line], taken: list[_Line]) -> Iterator[str]:
    """Hand out lines as a record asks for them, and note which it took."""
    size = 0
    for line in lines:
        taken.append(line)
        size += line.size
        if line.data is None:
            raise _Refused(*TOO_LARGE)
        if size > MAX_RECORD:
            raise _Refused(*UNCLOSED)
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
