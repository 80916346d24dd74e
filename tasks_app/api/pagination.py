"""Cursor pages: keyset on (ordering, id), so that they stay stable while rows come and go.

A page that would be too large ends early: what is left is on the next.

A cursor says "after (or before) the row with this key and id", never "skip n". It is signed, so
that it can't be made up, and bound to its list and ordering.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.core import signing
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import Combinable
from rest_framework.request import Request

from tasks_app.exceptions import FieldError, Invalid

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024  # of the rows as JSON; one row always goes
PARAMETERS: Final = frozenset({"limit", "cursor", "ordering", "workspace"})

Orderings = Mapping[str, str | Combinable]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the addresses of the pages around them."""

    rows: list[Any]
    next: str | None
    previous: str | None
    told: list[Any]  # the rows as the answer shows them, where it was said how

    def body(self, results: Sequence[Any]) -> dict[str, Any]:
        """Return the answer's members."""
        return {"next": self.next, "previous": self.previous, "results": results}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: beside the row with this key and id, going ``backward`` or not."""

    ordering: str
    backward: bool
    key: Any
    pk: uuid.UUID


def page(
    request: Request,
    rows: QuerySet[Any],
    *,
    orderings: Orderings,
    default: str,
    tell: Callable[[Any], Any] | None = None,
) -> Page:
    """Read one page, of 8 MiB at most where ``tell`` says how its rows are shown.

    Raises Invalid where limit, ordering or cursor are not what they may be.
    """
    limit = within_limit(request)
    ordering = _ordering(request, orderings, default)
    salt = request.path
    place = _place(request, ordering, salt)
    backward = place is not None and place.backward
    keyed = rows.annotate(page_key=_expression(orderings, ordering))
    found = list(_slice(keyed, ordering, place)[: limit + 1])
    told = _told(found[:limit], tell) if tell else []
    kept = found[: len(told) if tell else limit]
    more, found = len(found) > len(kept), kept
    if backward:
        found.reverse()
        told.reverse()
    has_next = bool(found) and (more or backward)
    has_previous = bool(found) and (more if backward else place is not None)
    return Page(
        rows=found,
        next=_link(request, ordering, found[-1], salt, backward=False) if has_next else None,
        previous=_link(request, ordering, found[0], salt, backward=True) if has_previous else None,
        told=told,
    )


def _told(rows: Iterable[Any], tell: Callable[[Any], Any]) -> list[Any]:
    """Tell of rows until they are as much as goes into one answer."""
    told: list[Any] = []
    size = 0
    for row in rows:
        one = tell(row)
        size += len(orjson.dumps(one))
        if told and size > PAGE_BYTES:
            break
        told.append(one)
    return told


def comes_after(request: Request, *, orderings: Orderings, default: str) -> Any:
    """Return the key of the row that a next page comes after; None for any other page."""
    place = _place(request, _ordering(request, orderings, default), request.path)
    return None if place is None or place.backward else place.key


def refused(name: str, code: str, detail: str) -> Invalid:
    """Return the refusal of a query parameter."""
    return Invalid("The query is not valid.", errors=(FieldError(f"?{name}", code, detail),))


def within_limit(request: Request) -> int:
    """Return how many rows are asked for. Raises Invalid where that is not what it may be."""
    given = request.query_params.get("limit")
    if given is None:
        return DEFAULT_LIMIT
    if not (re.fullmatch("[0-9]{1,9}", given) and 1 <= int(given) <= MAX_LIMIT):
        raise refused("limit", "out_of_range", f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(given)


def _ordering(request: Request, orderings: Orderings, default: str) -> str:
    given = request.query_params.get("ordering", default)
    if given.removeprefix("-") not in orderings:
        known = ", ".join(orderings)
        raise refused("ordering", "invalid_choice", f"Order by one of {known}, or - and one.")
    return given


def _expression(orderings: Orderings, ordering: str) -> Combinable:
    expression = orderings[ordering.removeprefix("-")]
    return F(expression) if isinstance(expression, str) else expression


def _slice(rows: QuerySet[Model], ordering: str, place: _Place | None) -> QuerySet[Model]:
    descending = ordering.startswith("-") is not (place is not None and place.backward)
    sign, beyond = ("-", "lt") if descending else ("", "gt")
    if place is not None:
        # The first condition alone lets an index find the place; the second breaks ties.
        rows = rows.filter(
            Q(**{f"page_key__{beyond}e": place.key}),
            Q(**{f"page_key__{beyond}": place.key}) | Q(**{f"pk__{beyond}": place.pk}),
        )
    return rows.order_by(f"{sign}page_key", f"{sign}pk")


def _place(request: Request, ordering: str, salt: str) -> _Place | None:
    given = request.query_params.get("cursor")
    if given is None:
        return None
    try:
        made_for, backward, kind, key, pk = signing.Signer(salt=salt).unsign_object(given)
        read = datetime.fromisoformat(key) if kind == "at" else key
        place = _Place(made_for, backward, read, uuid.UUID(pk))
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise refused("cursor", "invalid", "This is not a cursor of this list.") from error
    if place.ordering != ordering:
        raise refused("cursor", "invalid", "This cursor belongs to another ordering.")
    return place


def _link(request: Request, ordering: str, row: Any, salt: str, *, backward: bool) -> str:
    key = row.page_key
    at = isinstance(key, datetime)
    kind, value = ("at", key.isoformat()) if at else ("", key if isinstance(key, int) else str(key))
    cursor = signing.Signer(salt=salt).sign_object([ordering, backward, kind, value, row.pk.hex])
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
