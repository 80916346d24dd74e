"""The first lines of a file: which columns it has, and by what they are separated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tasks_app.exceptions import FieldError, Invalid
from tasks_app.exchange.cells import COLUMNS
from tasks_app.exchange.records import csv_records

LOOK: Final = 64 * 1024  # bytes within which the header ends
BOM: Final = b"\xef\xbb\xbf"
DELIMITERS: Final = (",", ";", "\t", "|")
KEYS: Final = ("title", "external_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where rows begin, in bytes and lines, and what is in their columns."""

    start: int
    lines: int = 0
    delimiter: str = ""
    columns: Sequence[str] = field(default=())


def refused_file(code: str, detail: str) -> Invalid:
    """Return the refusal of a whole file."""
    return Invalid("The file can't be imported.", errors=(FieldError("/file", code, detail),))


def ndjson_layout(first: bytes) -> Layout:
    """Return where the rows of an NDJSON file begin."""
    return Layout(start=len(BOM) if first.startswith(BOM) else 0)


def csv_layout(first: bytes, *, delimiter: str = "") -> Layout:
    """Read the header of a CSV file; without a delimiter, take the one that finds most columns.

    Raises Invalid for names that no export has, twice the same, or none to know a task by.
    """
    begin = len(BOM) if first.startswith(BOM) else 0
    tried = [_read(first[begin:LOOK], one) for one in ([delimiter] if delimiter else DELIMITERS)]
    best = max(tried, key=lambda found: sum(name in COLUMNS for name in found.columns))
    _check(best.columns)
    return Layout(
        start=begin + best.start,
        lines=best.lines,
        delimiter=best.delimiter,
        columns=best.columns,
    )


def _read(first: bytes, delimiter: str) -> Layout:
    """Return what the first record would be; blank lines before it are passed over."""
    start = lines = 0
    for record in csv_records(iter([_whole(first)]), delimiter=delimiter):
        start, lines = start + record.size, lines + record.lines
        if record.wrong:
            return Layout(start=start, lines=lines, delimiter=delimiter)
        if not record.is_blank:
            names = [str(name).strip().lower() for name in record.content]
            return Layout(start=start, lines=lines, delimiter=delimiter, columns=names)
    return Layout(start=start, lines=lines, delimiter=delimiter)


def _whole(first: bytes) -> bytes:
    """Leave out a last line that was cut off, unless there is no other."""
    end = first.rfind(b"\n") + 1
    return first[:end] if end and len(first) >= LOOK - len(BOM) else first


def _check(columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name and name not in COLUMNS]
    if unknown or not any(columns):
        shown = ", ".join(name[:50] for name in unknown[:10]) or "none"
        known = ", ".join(COLUMNS)
        raise refused_file(
            "unknown_column", f"The header's columns are some of {known}; not {shown}."
        )
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise refused_file("repeated_column", f"A column is there twice: {twice[0]}.")
    if not any(name in columns for name in KEYS):
        raise refused_file("missing_column", "There is neither a title nor an external_id column.")


def check_delimiter(text: str) -> str:
    """Return a delimiter that was declared: the sign itself, or ``tab``. Raises Invalid."""
    sign = {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
    if sign not in DELIMITERS:
        error = FieldError("/delimiter", "invalid_choice", "One of , ; | and tab.")
        raise Invalid(errors=(error,))
    return sign
