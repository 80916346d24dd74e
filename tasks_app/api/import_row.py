"""A row of a file, read by the rules of the API: the same fields, limits and words of refusal.

Settings name `read_row` for the worker that walks imports. Fields that the API only shows are
passed over, so that an export can be imported again.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from rest_framework.exceptions import ValidationError

from tasks_app.api.errors import ERRORS_SHOWN, flat
from tasks_app.api.json_input import read_json
from tasks_app.api.task import PART
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.exchange.cells import JSON_COLUMNS, restore
from tasks_app.models import Priority, Status

#: What an empty cell stands for, where that is not the empty text.
EMPTY: Final[Mapping[str, Any]] = {
    "external_id": None,
    "due_at": None,
    "status": Status.OPEN.value,
    "priority": Priority.NORMAL.value,
}
Read = tuple[Mapping[str, Any], Sequence[FieldError]]


def read_row(raw: Mapping[str, str] | bytes) -> Read:
    """Return the fields that a row gives, and what is wrong with it; one of them is empty."""
    try:
        given = read_json(raw) if isinstance(raw, bytes) else _typed(raw)
        fields, _ = PART.read(given)
    except Invalid as refusal:
        return {}, refusal.errors or (FieldError("", "invalid", refusal.detail),)
    except ValidationError as error:
        return {}, tuple(islice(flat(error.detail), ERRORS_SHOWN))
    return fields, ()


def _typed(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return cells as the JSON values that they stand for."""
    writable = {name: cell for name, cell in cells.items() if not PART.fields[name].read_only}
    return {name: _value(name, cell) for name, cell in writable.items()}


def _value(name: str, cell: str) -> Any:
    if name in JSON_COLUMNS:
        return _json(name, cell.strip())
    if not cell and name in EMPTY:
        return EMPTY[name]
    return restore(cell)


def _json(name: str, cell: str) -> Any:
    """Return labels or metadata; labels may also be words between commas."""
    if name == "labels" and not cell.startswith("["):
        words = [restore(word.strip()) for word in restore(cell).split(",")]
        return list(dict.fromkeys(filter(None, words)))
    if not cell:
        return {}
    try:
        return read_json(cell.encode())
    except Invalid as refusal:
        errors = tuple(
            FieldError(f"/{name}{error.pointer}", error.code, error.detail)
            for error in refusal.errors
        )
        raise Invalid(errors=errors) from refusal
