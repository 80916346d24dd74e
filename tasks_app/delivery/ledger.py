"""The database as the drain sees it: four calls that survive its restarts.

Used from two threads, each with its connection: one leases, one writes down. A database that is
away is no error here but a None: the loop tries again, and what it holds stays its own until its
leases are taken over.
"""

import logging
import uuid

from django.db import Error, connection

from tasks_app.delivery.away import AWAY
from tasks_app.delivery.due import due_in
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle
from tasks_app.delivery.take_over import take_back_unknown

logger = logging.getLogger(__name__)


class DatabaseLedger:
    """Lease and settle for one worker."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._held: set[uuid.UUID] = set()
        self._in_doubt = True  # a lease that failed may have been committed all the same

    def lease(self, wanted: int) -> list[Leased] | None:
        """Claim up to ``wanted`` deliveries; None where the database is away."""
        try:
            self._settle_doubts()
            rows = lease(worker=self.worker, wanted=wanted)
        except Error:
            self._in_doubt = True
            _away("lease_failed")
            return None
        self._held.update(row.claim_id for row in rows)
        return rows

    def settle(self, group: list[Ended]) -> int | None:
        """Write a group of outcomes down; None where the database is away.

        An outcome that the database refuses must not keep its neighbours from being written: it
        is left to its lease, and ends as poison where that repeats itself.
        """
        try:
            done = settle(group)
        except AWAY:
            _away("settle_failed")
            return None
        except Exception:
            logger.exception("settle_refused", extra={"count": len(group)})
            one_by_one = self._one_by_one(group) if len(group) > 1 else 0
            if one_by_one is None:
                return None
            done = one_by_one
        self._held.difference_update(ended.row.claim_id for ended in group)
        return done

    def due_in(self, ahead: float) -> float | None:
        """Return when there will be something to lease, in seconds; None where it is away."""
        try:
            return due_in(ahead=ahead)
        except Error:
            _away("look_failed")
            return None

    def give_back(self, rows: list[Leased]) -> int | None:
        """Undo leases; None where the database is away."""
        try:
            given = give_back(rows)
        except Error:
            _away("give_back_failed")
            return None
        self._held.difference_update(row.claim_id for row in rows)
        return given

    def close(self) -> None:
        """Close this thread's connection."""
        connection.close()

    def _one_by_one(self, group: list[Ended]) -> int | None:
        """Settle each alone. Where the database goes away midway the whole group is tried again:

        its claims keep those that were written from being written twice.
        """
        done = 0
        for ended in group:
            settled = self.settle([ended])
            if settled is None:
                return None
            done += settled
        return done

    def _settle_doubts(self) -> None:
        if self._in_doubt:
            connection.close_if_unusable_or_obsolete()
            take_back_unknown(worker=self.worker, known=self._held)
            self._in_doubt = False


def _away(what: str) -> None:
    logger.warning(what, exc_info=True)
    connection.close_if_unusable_or_obsolete()
