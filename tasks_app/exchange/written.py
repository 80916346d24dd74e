"""Tasks as lines of a file: CSV (RFC 4180, every cell in quotes) or NDJSON."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from tasks_app.events.snapshot import task_snapshot
from tasks_app.exchange.cells import COLUMNS, JSON_COLUMNS, defuse
from tasks_app.models import ImportFormat, Task

PIECE: Final = 32 * 1024  # bytes at once: how long a slow client may take is asked of each

MEDIA_TYPES: Final = {
    ImportFormat.CSV.value: "text/csv; charset=utf-8; header=present",
    ImportFormat.NDJSON.value: "application/x-ndjson",
}


def head_of(file_format: str) -> bytes:
    """Return what stands before the first task."""
    return _csv([COLUMNS]) if file_format == ImportFormat.CSV else b""


def lines_of(tasks: Iterable[Task], file_format: str) -> bytes:
    """Return a line for each task."""
    told = (task_snapshot(task, task.sync_state) for task in tasks)
    if file_format == ImportFormat.NDJSON:
        return b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in told)
    return _csv([_cell(name, one) for name in COLUMNS] for one in told)


def pieces_of(data: bytes) -> Iterator[bytes]:
    """Cut it into pieces of at most PIECE bytes."""
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


def _cell(name: str, task: Mapping[str, Any]) -> str:
    value = task[name]
    if name in JSON_COLUMNS:
        return orjson.dumps(value).decode()
    return "" if value is None else defuse(str(value))


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()
