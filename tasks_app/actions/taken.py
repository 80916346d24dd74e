"""Turns the database's word on a taken name into a refusal that points at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from tasks_app.exceptions import FieldError, Invalid


class Taken(Invalid):
    """The input is not valid."""


@contextmanager
def refused_where_taken(constraint: str, pointer: str, detail: str) -> Iterator[None]:
    """Raise Taken where the block breaks this unique constraint; let all else pass."""
    try:
        yield
    except IntegrityError as error:
        if constraint not in str(error):
            raise
        raise Taken(errors=(FieldError(pointer, "unique", detail),)) from error
