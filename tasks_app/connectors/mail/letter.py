"""An event as a person reads it: subject and text, and whom a `mailto:` address names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

RECIPIENTS_MAX: Final = 10
SUBJECT_LENGTH: Final = 180
_VERBS: Final = {
    "task_created": "created",
    "task_updated": "changed",
    "task_deleted": "deleted",
}
_SHOWN: Final = ("status", "priority", "assignee", "due_at", "labels", "external_id")


def recipients(url: str) -> list[str]:
    """Return the addresses of `mailto:a@example.org,b@example.org` (RFC 6068 §2).

    Raises ValueError with a sentence. Header fields (`?cc=`) and percent-encoding are refused:
    whatever else they can do, they can name recipients that nobody sees at a glance.
    """
    listed = url.removeprefix("mailto:").split(",")
    if len(listed) > RECIPIENTS_MAX:
        raise ValueError(f"A mail goes to {RECIPIENTS_MAX} addresses at most.")
    if len({one.lower() for one in listed}) < len(listed):
        raise ValueError("Each address is named once.")
    for one in listed:
        _check(one)
    return listed


def _check(address: str) -> None:
    wrong = ValueError("A mail address looks like mailto:ops@example.org, several with a comma.")
    if not address.isascii() or not address.isprintable() or set(address) & set('?%&"<>() '):
        raise wrong
    try:
        validate_email(address)
    except ValidationError:
        raise wrong from None


def subject_of(event: Mapping[str, Any]) -> str:
    """Return one line, whatever control characters a title holds."""
    task = event.get("task")
    if task is None:
        return "A test from Aftercommit"
    line = f"Task #{task.get('number')} {_VERBS.get(event['type'], event['type'])}: {task['title']}"
    line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return line if len(line) <= SUBJECT_LENGTH else f"{line[: SUBJECT_LENGTH - 1]}…"


def text_of(event: Mapping[str, Any]) -> str:
    """Return what happened, to what, by whom and when."""
    return "\n".join(_lines(event)) + "\n"


def _lines(event: Mapping[str, Any]) -> Iterator[str]:
    task = event.get("task")
    if task is None:
        yield "This destination gets a mail for each event that it wants. This one was a test."
    else:
        yield str(task["title"])
        yield ""
        changes = event.get("changes", {})
        for name in (*_SHOWN, *(name for name in changes if name not in _SHOWN)):
            if name in changes:
                old, new = changes[name]
                yield f"{_label(name)}: {_word(new)} (was: {_word(old)})"
            elif task.get(name):
                yield f"{_label(name)}: {_word(task[name])}"
        if task.get("description") and "description" not in changes:
            yield ""
            yield str(task["description"])
    yield ""
    by = event.get("actor", {}).get("name", "")
    seq = f"Event {event['seq']}" if "seq" in event else "An example"
    yield f"{seq}, {event['at']}{f', by {by}' if by else ''}"


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _word(value: Any) -> str:
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
