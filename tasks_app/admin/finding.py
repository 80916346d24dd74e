"""What a search box finds, and by which index: each finder knows one shape of what is typed.

They are asked in turn, and the first that finds something is the answer. A search that no index
serves is not offered.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

Rows = QuerySet[Any]
Finder = Callable[[Rows, str], Rows | None]

FOUND_MOST: Final = 100  # by an exact value that is no key of its own
TERM_MOST: Final = 200  # characters
WORDS_MOST: Final = 8


def by_id(*lookups: str) -> Finder:
    """Return a finder of ids: a row's own, or of what it belongs to."""

    def find(rows: Rows, term: str) -> Rows | None:
        try:
            wanted = uuid.UUID(term.removeprefix("evt_").removeprefix("msg_"))
        except ValueError:
            return None
        condition = Q()
        for lookup in lookups:
            condition |= Q(**{lookup: wanted})
        return rows.filter(condition)

    return find


def by_number(lookup: str) -> Finder:
    """Return a finder of ``12`` and ``#12``."""

    def find(rows: Rows, term: str) -> Rows | None:
        match = re.fullmatch("#?([0-9]{1,18})", term, re.ASCII)
        return _these(rows, Q(**{lookup: int(match[1])})) if match else None

    return find


def exactly(lookup: str) -> Finder:
    """Return a finder of the whole text, in its case."""
    return lambda rows, term: _these(rows, Q(**{lookup: term}))


def beginning(lookup: str) -> Finder:
    """Return a finder of texts that begin so, in this case; the index is one for patterns."""
    return lambda rows, term: rows.filter(**{f"{lookup}__startswith": term})


def by_address(lookup: str) -> Finder:
    """Return a finder of mail addresses, in any case: the index is one of lower ones."""
    lowered = f"{lookup}_lower"

    def find(rows: Rows, term: str) -> Rows | None:
        if "@" not in term:
            return None
        found_here: Rows = rows.alias(**{lowered: Lower(lookup)}).filter(
            ~Q(**{lookup: ""}), **{lowered: term.lower()}
        )
        return found_here

    return find


def by_words(column: str) -> Finder:
    """Return a finder of rows in which all words occur, or begin so, in any case."""

    def find(rows: Rows, term: str) -> Rows | None:
        words = re.findall(r"\w+", term)[:WORDS_MOST]
        if not words:
            return None
        query = SearchQuery(
            " & ".join(f"{word}:*" for word in words), config="simple", search_type="raw"
        )
        vector = SearchVector(column, config="simple")
        matching: Rows = rows.annotate(words=vector).filter(words=query)
        return matching

    return find


def found(rows: Rows, term: str, finders: tuple[Finder, ...]) -> Rows:
    """Return what the first finder that understands the term finds, or nothing."""
    term = term.strip()[:TERM_MOST]
    for find in finders if term else ():
        answer = find(rows, term)
        if answer is not None:
            return answer
    return rows.none() if term else rows


def _these(rows: Rows, condition: Q) -> Rows | None:
    """Look by this condition alone, so that its index is used, and return what is there."""
    keys = list(rows.filter(condition).order_by().values_list("pk", flat=True)[:FOUND_MOST])
    return rows.filter(pk__in=keys) if keys else None
