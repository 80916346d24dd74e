"""A row of a file once it has been read by the rules of the API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from tasks_app.exceptions import FieldError

Raw = Mapping[str, str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The fields that it gives, or what is wrong with it; and where it is."""

    number: int
    line: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[FieldError] = ()

    @property
    def external_id(self) -> str | None:
        """Return by what its task is known elsewhere."""
        return self.fields.get("external_id")


Reader = Callable[[Raw], tuple[Mapping[str, Any], Sequence[FieldError]]]


@cache
def row_reader() -> Reader:
    """Return what reads rows as the API reads bodies; it lies above, so settings name it."""
    return cast("Reader", import_string(settings.IMPORT_ROW_READER))
