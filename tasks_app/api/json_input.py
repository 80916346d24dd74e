"""JSON as clients send it, read strictly: what is odd is refused with a pointer, never guessed at.

RFC 8259 leaves to the reader what repeated names, huge numbers and lone surrogates mean; PostgreSQL
and other clients would each decide differently. So they are refused here, before anything else
looks at the body. Ordinary bodies pay nothing: only where the C scanner or the bytes gave reason
is the document walked for the place.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from tasks_app.exceptions import FieldError, Invalid

MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 20  # with the sign
INTEGERS: Final = range(-(2**63), 2**63)
NAME_SHOWN: Final = 100  # characters of a name in a pointer

_Path = Sequence[str | int]

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class _Wrong:
    """Stands in the parsed document where something must be refused."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail


_NOT_A_NUMBER: Final = _Wrong("not_a_number", "NaN and Infinity are not JSON.")
_OUT_OF_RANGE: Final = _Wrong("number_out_of_range", "The number does not fit into 64 bits.")


class _Repeated(dict[str, Any]):
    """An object that names a member twice."""

    name = ""


class _Scanner:
    """One document; ``odd`` says whether it has to be walked."""

    def __init__(self) -> None:
        self.odd = False
        self._decoder = json.JSONDecoder(
            parse_int=self._integer,
            parse_float=self._real,
            parse_constant=lambda _: self._wrong(_NOT_A_NUMBER),
            object_pairs_hook=self._object,
        )

    def read(self, text: str) -> Any:
        return self._decoder.decode(text)

    def _wrong(self, wrong: _Wrong) -> _Wrong:
        self.odd = True
        return wrong

    def _integer(self, text: str) -> int | _Wrong:
        # The length first: int() of a million digits takes a second (CVE-2020-10735).
        if len(text) > MAX_DIGITS or (value := int(text)) not in INTEGERS:
            return self._wrong(_OUT_OF_RANGE)
        return value

    def _real(self, text: str) -> float | _Wrong:
        # jsonb writes 1e20 out as a whole number, which no answer, stream or body could hold.
        value = float(text)
        return value if abs(value) < INTEGERS.stop else self._wrong(_OUT_OF_RANGE)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.odd = True
        repeated = _Repeated(made)
        seen: set[str] = set()
        repeated.name = next(n for n, _ in pairs if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        return repeated


def read_json(body: bytes) -> Any:
    """Return the document.

    Raises Invalid, with a JSON pointer (RFC 6901) to the place, for what is not UTF-8 or not
    JSON, for repeated names, numbers beyond 64 bits, NUL characters and lone surrogates, and for
    more than 16 levels.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse((), "not_utf8", f"Byte {error.start} is not UTF-8.")
    scanner = _Scanner()
    try:
        document = scanner.read(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse((), "malformed_json", f"This is not JSON: {error.msg}, {place}.")
    except RecursionError:
        _refuse((), "too_deep", f"There are at most {MAX_DEPTH} levels.")
    if scanner.odd or "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH:
        _walk(document, [])
    return document


def escaped(name: str) -> str:
    """Return a name as a part of a JSON pointer (RFC 6901 §3), shown safely and never at length."""
    short = name if len(name) <= NAME_SHOWN else f"{name[:NAME_SHOWN]}…"
    shown = short.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
    return shown.replace("~", "~0").replace("/", "~1")


def depth(value: Any) -> int:
    """Return how many containers are nested in a value; 0 for a plain one."""
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((depth(part) for part in inner), default=0)


def _refuse(path: _Path, code: str, detail: str) -> NoReturn:
    pointer = "".join(f"/{escaped(str(part))}" for part in path)
    raise Invalid("The body can't be read.", errors=(FieldError(pointer, code, detail),))


def _walk(value: Any, path: list[str | int]) -> None:
    """Refuse the first thing that is wrong.

    ``path`` leads here. It becomes a pointer only in a refusal: a pointer for every part of the
    document would take the length of the names times the number of the parts.
    """
    if isinstance(value, _Wrong):
        _refuse(path, value.code, value.detail)
    if isinstance(value, str):
        _check_text(path, value)
    elif isinstance(value, dict | list):
        if len(path) >= MAX_DEPTH:
            _refuse(path, "too_deep", f"There are at most {MAX_DEPTH} levels.")
        for name, part in _parts(path, value):
            path.append(name)
            _walk(part, path)
            path.pop()


def _parts(
    path: _Path, value: dict[str, Any] | list[Any]
) -> Iterable[tuple[int, Any]] | Iterable[tuple[str, Any]]:
    if isinstance(value, list):
        return enumerate(value)
    if isinstance(value, _Repeated):
        _refuse([*path, value.name], "repeated", "This name is given twice.")
    for name in value:
        _check_text(path, name, name)
    return value.items()


def _check_text(path: _Path, text: str, *names: str) -> None:
    if found := _UNSTORABLE.search(text):
        what = "a NUL character" if found[0] == "\0" else "half of a surrogate pair"
        _refuse([*path, *names], "unstorable_text", f"Text must not contain {what}.")
