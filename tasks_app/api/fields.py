"""Strict fields: a text is a text and a number is a number; nothing is coerced in silence."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.settings import api_settings

from tasks_app.events.snapshot import moment

# RFC 3339 §5.6, with the zone that it requires.
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,6})?\d*([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read_moment(text: str) -> datetime:
    """Return an RFC 3339 time in UTC. Raises ValueError."""
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not RFC 3339")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        read = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '.0')[1:]:0<6}{zone}")
        return read.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


class Text(serializers.CharField):
    """A text, kept as it came; where blank is not allowed, white space alone is blank."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse what is not a text before anything looks at it."""
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        if isinstance(data, str) and data and not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().run_validation(data)


class Prose(Text):
    """A text of many lines, without the other control characters (Unicode's category Cc)."""

    default_error_messages = {"control_character": "This has no control characters."}
    refused: ClassVar[re.Pattern[str]] = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

    def to_internal_value(self, data: Any) -> str:
        """Return it as it came."""
        text = super().to_internal_value(data)
        if self.refused.search(text):
            self.fail("control_character")
        return text


class Line(Prose):
    """A text of one line, which moves no cursor of a terminal that shows it."""

    refused = re.compile("[\x00-\x1f\x7f-\x9f]")


class Word(serializers.ChoiceField):
    """One of a few words, and only the word itself."""

    def to_internal_value(self, data: Any) -> str:
        """Return the word."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", input=str(data)[:100])
        return data


class WholeNumber(serializers.IntegerField):
    """A JSON number without a fraction; neither true nor "1"."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if type(data) is not int:
            self.fail("invalid")
        return data


class Id(serializers.UUIDField):
    """An id as text; not a number that could be one."""

    def to_internal_value(self, data: Any) -> UUID:
        """Return the id."""
        if not isinstance(data, str):
            self.fail("invalid", value=str(data)[:100])
        read: UUID = super().to_internal_value(data)
        return read


class Flag(serializers.BooleanField):
    """true or false, and nothing that merely sounds like it."""

    def to_internal_value(self, data: Any) -> bool:
        """Return it."""
        if not isinstance(data, bool):
            self.fail("invalid", input=str(data)[:100])
        return data


class Moment(serializers.DateTimeField):
    """A point in time with its zone (RFC 3339)."""

    default_error_messages = {
        "invalid": "A time is RFC 3339 with its zone, such as 2026-01-31T12:00:00Z."
    }

    def to_internal_value(self, value: Any) -> datetime:
        """Return the time in UTC."""
        try:
            return read_moment(value)
        except (TypeError, ValueError):
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        """Return it as the log does."""
        return moment(value) or ""


class Items(serializers.ListField):
    """A list, and nothing that merely can be walked; counted before its items are looked at."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the list."""
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        found: list[Any] = super().to_internal_value(data)
        return found


class Distinct(Items):
    """A list that names nothing twice."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the list."""
        values = super().to_internal_value(data)
        wrong = [ErrorDetail("This is listed twice.", "repeated")]
        seen: set[Any] = set()
        twice = {str(i): wrong for i, v in enumerate(values) if v in seen or seen.add(v)}  # type: ignore[func-returns-value]
        if twice:
            raise ValidationError(twice)
        return values


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses unknown fields; hands back read-only fields that the client repeats.

    An instance without data is a reader: `read()` keeps no state, so one instance serves every
    request of a process, and no request pays for copying the declared fields.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Return the writable fields."""
        if not isinstance(data, dict):
            wrong = ErrorDetail("The body must be a JSON object.", "not_an_object")
            raise ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [wrong]})
        unknown = [ErrorDetail("There is no such field.", "unknown_field")]
        errors: dict[str, Any] = {name: unknown for name in data if name not in self.fields}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            errors |= error.detail if isinstance(error.detail, Mapping) else {}
        if errors:
            raise ValidationError(errors)
        return values

    def read(self, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what was given for writable fields, and what was repeated of read-only ones.

        Raises ValidationError.
        """
        values: dict[str, Any] = dict(self.run_validation(data))
        return values, {name: data[name] for name in data if self.fields[name].read_only}

    def read_new(self, data: Any) -> dict[str, Any]:
        """Return the fields of something that does not exist yet: nothing can be repeated.

        Raises ValidationError.
        """
        values, echoed = self.read(data)
        if echoed:
            wrong = ErrorDetail("This field is read-only.", "read_only")
            raise ValidationError({name: [wrong] for name in echoed})
        return values


class Nothing(StrictSerializer):
    """The body of a call that takes none: empty, or an empty object."""


NOTHING: Final = Nothing()
