"""A serializer as an HTML form, and a filled-in form as the JSON that it stands for.

The API itself reads nothing but JSON, and as strictly from a page as from a program: a form is
only another way to write it down.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from rest_framework import serializers

from tasks_app.api.json_input import read_json
from tasks_app.exceptions import Invalid

NO_ERRORS: Final[Mapping[str, str]] = {}
_MINUTES: Final = len("2026-01-31T12:00")
_SECONDS: Final = len("2026-01-31T12:00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One field of a form. ``kind``: text, area, moment, or choice with its ``choices``."""

    name: str
    kind: str
    value: str
    hint: str = ""
    error: str = ""
    required: bool = False
    max_length: int | None = None
    choices: tuple[str, ...] = ()


def inputs(
    serializer: serializers.Serializer[Any],
    shown: Mapping[str, Any],
    *,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] = NO_ERRORS,
) -> Iterator[Input]:
    """Yield the fields that may be written, filled with what is there or what was typed."""
    for name, field in serializer.fields.items():
        if field.read_only:
            continue
        kind, hint = _kind(field)
        there = shown.get(name, _default(field))
        value = typed.get(name, "") if typed is not None else _as_text(kind, there)
        yield Input(
            name=name,
            kind=kind,
            hint=hint,
            value=value,
            error=errors.get(name, ""),
            required=field.required,
            max_length=getattr(field, "max_length", None) if kind == "text" else None,
            choices=tuple(field.choices) if isinstance(field, serializers.ChoiceField) else (),
        )


def as_json(serializer: serializers.Serializer[Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the body that a form stands for; what can't be read stays a text, to be refused."""
    return {
        name: _as_value(field, typed[name].replace("\r\n", "\n"))
        for name, field in serializer.fields.items()
        if name in typed and not field.read_only
    }


def _kind(field: serializers.Field[Any, Any, Any, Any]) -> tuple[str, str]:
    if isinstance(field, serializers.ChoiceField):
        return "choice", ""
    if isinstance(field, serializers.ListField):
        return "area", "one a line"
    if isinstance(field, serializers.JSONField):
        return "area", "JSON"
    if isinstance(field, serializers.DateTimeField):
        return "moment", "UTC"
    long = (getattr(field, "max_length", 0) or 0) > 1000
    return ("area" if long else "text"), ""


def _default(field: serializers.Field[Any, Any, Any, Any]) -> Any:
    if field.required:
        return None
    return field.default() if callable(field.default) else field.default


def _as_text(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind == "moment":
        return str(value)[:_SECONDS]
    if isinstance(value, list):
        return "\n".join(str(one) for one in value)
    if isinstance(value, dict):
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if value else "{}"
    return str(value)


def _as_value(field: serializers.Field[Any, Any, Any, Any], text: str) -> Any:
    if text == "" and field.allow_null:
        return None
    if isinstance(field, serializers.ListField):
        return [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(field, serializers.JSONField):
        return _read(text or "{}")
    if isinstance(field, serializers.DateTimeField):
        return _in_utc(text)
    return text


def _read(text: str) -> Any:
    try:
        return read_json(text.encode("utf-8", "surrogatepass"))
    except Invalid:
        return text


def _in_utc(text: str) -> str:
    """Give what `<input type=datetime-local>` sends the seconds and the zone it leaves out."""
    if len(text) == _MINUTES:
        return f"{text}:00Z"
    return text if text.endswith("Z") else f"{text}Z"
