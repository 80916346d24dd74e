"""Declared list filters: each reads its values strictly and documents itself.

A repeated name means "or"; different names mean "and". What is not declared is refused, because a
misspelt filter that is ignored answers a question that nobody asked.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Final
from urllib.parse import parse_qsl

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from tasks_app.api.fields import read_moment
from tasks_app.api.pagination import MAX_LIMIT, PARAMETERS, Orderings, refused

MAX_VALUES: Final = 50

Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One query parameter. ``condition`` turns the values that were read into what to keep."""

    name: str
    read: Read
    condition: Callable[[Sequence[Any]], Q]
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    description: str = ""

    def apply(self, given: Sequence[str]) -> Q:
        """Return what the values keep. Raises Invalid with the parameter's name."""
        if len(given) > MAX_VALUES:
            raise refused(self.name, "too_many", f"At most {MAX_VALUES} values.")
        try:
            return self.condition([self.read(text) for text in given])
        except ValueError as error:
            raise refused(self.name, "invalid", str(error)) from error


def within(lookup: str) -> Callable[[Sequence[Any]], Q]:
    """Keep rows whose column is one of the values."""
    return lambda values: Q(**{f"{lookup}__in": values})


def any_of(lookup: str) -> Callable[[Sequence[Any]], Q]:
    """Keep rows for which the lookup holds with any of the values."""
    return lambda values: reduce(or_, (Q(**{lookup: value}) for value in values))


def words(name: str, choices: Iterable[str], condition: Callable[[Sequence[Any]], Q]) -> Filter:
    """Return a filter by one of a few words."""
    known = list(choices)

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"This must be one of {', '.join(known)}.")
        return text

    schema = {"type": "string", "enum": known}
    return Filter(name=name, read=read, condition=condition, schema=schema)


def text(name: str, condition: Callable[[Sequence[Any]], Q], description: str = "") -> Filter:
    """Return a filter by a text."""
    return Filter(name=name, read=_text, condition=condition, description=description)


def ids(name: str, lookup: str) -> Filter:
    """Return a filter by an id."""

    def read(text: str) -> uuid.UUID:
        try:
            return uuid.UUID(text)
        except ValueError:
            raise ValueError("This is not an id.") from None

    schema = {"type": "string", "format": "uuid"}
    return Filter(name=name, read=read, condition=within(lookup), schema=schema)


def numbers(name: str, condition: Callable[[Sequence[Any]], Q], description: str = "") -> Filter:
    """Return a filter by a whole number that is not negative."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text):
            raise ValueError("This is not a whole number.")
        return int(text)

    schema = {"type": "integer", "format": "int64", "minimum": 0}
    return Filter(name=name, read=read, condition=condition, schema=schema, description=description)


def moments(name: str, lookup: str) -> Filter:
    """Return a filter by a point in time."""

    def read(text: str) -> Any:
        try:
            return read_moment(re.sub(r" (\d\d:\d\d)$", r"+\1", text))  # an unquoted plus
        except ValueError:
            raise ValueError("This is not RFC 3339 with its zone.") from None

    schema = {"type": "string", "format": "date-time"}
    return Filter(name=name, read=read, condition=any_of(lookup), schema=schema)


def filtered(request: Request, filters: Sequence[Filter]) -> Q:
    """Return what the query string keeps. Raises Invalid for what no filter declares."""
    _check_encoding(request.META.get("QUERY_STRING", ""))
    known = {one.name: one for one in filters}
    kept = Q()
    for name, values in request.query_params.lists():
        if name in known:
            kept &= known[name].apply(values)
        elif name not in PARAMETERS:
            raise refused(_text_shown(name), "unknown_parameter", "There is no such parameter.")
    return kept


def parameters(
    filters: Sequence[Filter] = (), orderings: Orderings | None = None
) -> list[OpenApiParameter]:
    """Return the parameters of a list as OpenAPI tells of them."""
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
    told = [
        OpenApiParameter("limit", limit, description="Rows on a page."),
        OpenApiParameter("cursor", str, description="From `next` or `previous`; opaque."),
        *(_told(one) for one in filters),
    ]
    if orderings and len(orderings) > 1:
        known = [sign + name for name in orderings for sign in ("", "-")]
        told.append(OpenApiParameter("ordering", str, enum=known))
    return told


def _told(one: Filter) -> OpenApiParameter:
    schema = {"type": "array", "items": one.schema, "maxItems": MAX_VALUES}
    return OpenApiParameter(
        one.name,
        schema,
        explode=True,
        style="form",
        description=one.description or "Repeat for or.",
    )


def _text(given: str) -> str:
    if len(given) > 200:
        raise ValueError("At most 200 characters.")
    if "\0" in given or re.search("[\ud800-\udfff]", given):
        raise ValueError("Text must not contain NUL or half of a surrogate pair.")
    return given


def _check_encoding(query: str) -> None:
    """Refuse what is not UTF-8: Django would search for replacement characters in its place."""
    given = query.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    for name, value in parse_qsl(given, keep_blank_values=True, errors="surrogateescape"):
        if re.search("[\udc80-\udcff]", name + value):
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise refused(_text_shown(shown), "not_utf8", "This is not UTF-8.")


def _text_shown(name: str) -> str:
    return name[:100].encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
