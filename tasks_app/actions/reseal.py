"""Seal every secret again with the first key of the ring, so that older keys can be retired.

In batches, each a transaction of its own that holds its rows only for as long as it takes to seal
them: workers lease past them, and a run that is killed leaves each row either as it was or sealed
anew. Both open while both keys are in the ring, so running it again goes on where it ended.
"""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from django.db import transaction
from django.db.models import Q

from tasks_app.models import Destination
from tasks_app.models.sealed import PLACES, context_of, key_ring
from tasks_app.security.encryption import EncryptionError

BATCH: Final = 100
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Resealed:
    """What a run came to: values sealed anew, and destinations with one that does not open."""

    values: int = 0
    unreadable: list[uuid.UUID] = field(default_factory=list)


def reseal(*, batch: int = BATCH) -> Resealed:
    """Seal with the first key whatever is sealed with another; ``batch`` counts destinations.

    What does not open is left as it is, and named. Raises BadKeyRing where there is no ring.
    """
    done, after = Resealed(), uuid.UUID(int=0)
    while True:
        with transaction.atomic():
            rows = _next(after, batch)
            for row in rows:
                _reseal(row, done)
        if not rows:
            return done
        after = rows[-1].pk


def _next(after: uuid.UUID, batch: int) -> list[Destination]:
    """Lock the next destinations with something that another key sealed, deleted ones too."""
    current = f"v1:{key_ring().current}:"
    old = Q()
    for column in PLACES:
        old |= ~Q(**{column: ""}) & ~Q(**{f"{column}__startswith": current})
    rows = Destination.objects.filter(old, pk__gt=after).order_by("pk")
    return list(rows.select_for_update(no_key=True)[:batch])


def _reseal(row: Destination, done: Resealed) -> None:
    try:
        changed = dict(_sealed_anew(row))
    except EncryptionError as error:
        logger.warning("secret_unreadable", extra={"destination": str(row.pk), "why": str(error)})
        done.unreadable.append(row.pk)
        return
    Destination.objects.filter(pk=row.pk).update(**changed)
    done.values += len(changed)


def _sealed_anew(row: Destination) -> Iterator[tuple[str, str]]:
    for column, place in PLACES.items():
        sealed: str = getattr(row, column)
        if sealed and not key_ring().is_current(sealed):
            yield column, key_ring().rotate(sealed, context=context_of(row.pk, place))
