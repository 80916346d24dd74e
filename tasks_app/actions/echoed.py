"""Read-only fields that a caller sends back: unchanged they are fine, changed they are refused."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from tasks_app.exceptions import FieldError, Invalid

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def refuse_changed(before: Mapping[str, Any], echoed: Mapping[str, Any]) -> None:
    """Raise Invalid where an echoed field is not as it is."""
    changed = tuple(
        FieldError(f"/{name}", "read_only", "This field is read-only and differs.")
        for name, value in echoed.items()
        if differ(before[name], value)
    )
    if changed:
        raise Invalid(errors=changed)


def differ(old: Any, new: Any) -> bool:
    """Compare as JSON: to Python 1, 1.0 and true are the same."""
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(old, option=sort) != orjson.dumps(new, option=sort)
