"""Form fields that give back what they were given: a text keeps its blanks, a list its items.

The API's rules hold here too; a test puts the same input to both and compares.
"""

import unicodedata
from typing import Any, Final

import orjson
from django import forms
from django.core.exceptions import ValidationError

METADATA_BYTES: Final = 16 * 1024
METADATA_LEVELS: Final = 10
WHOLE: Final = range(-(2**63), 2**63)


class Verbatim(forms.CharField):
    """A text, kept as it came; white space alone is none, unless ``blank`` says so."""

    def __init__(self, *, blank: bool = False, **options: Any) -> None:
        self.blank = blank
        super().__init__(**{"strip": False, **options})

    def validate(self, value: Any) -> None:
        """Refuse nothing where something must be, and blanks."""
        super().validate(value)
        if value and not self.blank and not value.strip():
            raise ValidationError("This is blank.")


class Line(Verbatim):
    """One line, which moves no cursor of a terminal that shows it."""

    def validate(self, value: Any) -> None:
        """Refuse control characters."""
        super().validate(value)
        check_line(value or "")


class Prose(forms.CharField):
    """Lines, with the ends that they had: a browser sends CRLF for every one."""

    widget = forms.Textarea

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"strip": False, "required": False, **options})

    def to_python(self, value: Any) -> Any:
        """Return the text with line feeds."""
        return _with_line_feeds(super().to_python(value))

    def validate(self, value: Any) -> None:
        """Refuse what no terminal should get; tabs and ends of lines are fine."""
        super().validate(value)
        check_line(value.replace("\t", "").replace("\n", ""))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Tell whether anything but the ends of its lines differs."""
        return super().has_changed(_with_line_feeds(initial or ""), data)


class Labels(forms.CharField):
    """One label a line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def __init__(self, *, most: int, longest: int, **options: Any) -> None:
        self.most, self.longest = most, longest
        super().__init__(**{"strip": False, "required": False, **options})

    def prepare_value(self, value: Any) -> Any:
        """Show the labels."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the labels; lines without any are none."""
        lines = _with_line_feeds(super().to_python(value)).split("\n")
        return [line for line in lines if line.strip()]

    def validate(self, value: Any) -> None:
        """Refuse too many, too long ones, and what is listed twice."""
        if len(value) > self.most:
            raise ValidationError(f"There are at most {self.most} labels.")
        if len(set(value)) < len(value):
            raise ValidationError("A label is listed twice.")
        for label in value:
            if len(label) > self.longest:
                raise ValidationError(f"A label has at most {self.longest} characters.")
            check_line(label)

    def run_validators(self, value: Any) -> None:
        """Leave it at that: the validators of a text know no list."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the labels."""
        return bool((initial or []) != self.to_python(data or ""))


class Metadata(forms.CharField):
    """A JSON object of at most 16 KiB and 10 levels."""

    widget = forms.Textarea(attrs={"rows": 6})

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, **options})

    def prepare_value(self, value: Any) -> Any:
        """Show it with indents."""
        if not isinstance(value, dict):
            return value
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()

    def to_python(self, value: Any) -> Any:
        """Return the object; nothing typed is an empty one."""
        try:
            read = orjson.loads(super().to_python(value) or "{}")
        except orjson.JSONDecodeError as error:
            raise ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(read, dict):
            raise ValidationError("This must be a JSON object.")
        return read

    def validate(self, value: Any) -> None:
        """Refuse what is too deep or too large, or what PostgreSQL can't keep."""
        _check_json(value, METADATA_LEVELS)
        if len(orjson.dumps(value)) > METADATA_BYTES:
            raise ValidationError(f"At most {METADATA_BYTES} bytes as JSON.")

    def run_validators(self, value: Any) -> None:
        """Leave it at that: the validators of a text know no object."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the objects."""
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


def check_line(text: str) -> None:
    """Raise ValidationError where a line has control characters."""
    if any(unicodedata.category(sign) == "Cc" for sign in text):
        raise ValidationError("This has control characters.")


def _with_line_feeds(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")


def _check_json(value: Any, levels: int) -> None:
    if isinstance(value, dict | list):
        if levels == 0:
            raise ValidationError(f"There are at most {METADATA_LEVELS} levels.")
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        for part in parts:
            _check_json(part, levels - 1)
    elif isinstance(value, str) and "\0" in value:
        raise ValidationError("Text must not contain NUL characters.")
    elif isinstance(value, int | float) and not WHOLE.start <= value < WHOLE.stop:
        raise ValidationError("The number does not fit into 64 bits.")
