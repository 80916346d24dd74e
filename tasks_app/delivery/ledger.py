"""The database as the drain sees it: five calls that survive its restarts.

Used from two threads, each with its connection: one leases, one writes down. A database that is
away is no error here but a None: the loop tries again, and what it holds stays its own until its
leases are taken over.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from itertools import groupby

from django.db import Error, connection

from tasks_app.delivery.away import AWAY, is_held_up
from tasks_app.delivery.due import due_in
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle, settle_soon
from tasks_app.delivery.take_over import take_back_unknown

logger = logging.getLogger(__name__)

Write = Callable[[Sequence[Ended]], int]


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

    def settle(self, group: list[Ended]) -> list[Ended] | None:
        """Write a group of outcomes down; None where the database is away.

        Returns those of workspaces that another transaction holds up, for `settle_apart`. An
        outcome that the database refuses must not keep its neighbours from being written either:
        it is left to its lease, and ends as poison where that repeats itself.
        """
        held_up = self._settle(group, settle)
        return self.settle_apart(held_up) if held_up else held_up

    def settle_apart(self, group: list[Ended]) -> list[Ended] | None:
        """Write each workspace's outcomes for themselves, without waiting long for any.

        Returns those that are still held up. Where the database goes away midway the whole group
        is tried again: its claims keep those that were written from being written twice.
        """
        left: list[Ended] = []
        for _, part in groupby(sorted(group, key=_workspace), key=_workspace):
            held_up = self._settle(list(part), settle_soon)
            if held_up is None:
                return None
            left += held_up
        return left

    def due_in(self, ahead: float) -> float | None:
        """Return when there will be something to lease, in seconds; None where it is away."""
        try:
            return due_in(ahead=ahead)
        except Error:
            _away("look_failed")
            return None

    def give_back(self, rows: list[Leased]) -> list[Leased] | None:
        """Undo leases; None where the database is away. Returns those that are held up."""
        try:
            left = give_back(rows)
        except Error:
            _away("give_back_failed")
            return None
        self._held -= {row.claim_id for row in rows} - {row.claim_id for row in left}
        return left

    def abandon(self, rows: list[Leased]) -> None:
        """Give back what may have arrived; where that fails, it is left to its leases."""
        try:
            give_back(rows, unsent=False)
        except Error:
            _away("give_back_failed")

    def close(self) -> None:
        """Close this thread's connection."""
        connection.close()

    def _settle(self, group: list[Ended], write: Write) -> list[Ended] | None:
        """Write down and return what is held up: nothing, or all; None where it is away."""
        left: list[Ended] | None = []
        try:
            write(group)
        except AWAY as error:
            if is_held_up(error):
                logger.warning("settle_held_up", extra={"count": len(group)})
                return group
            _away("settle_failed")
            return None
        except Exception:
            logger.exception("settle_refused", extra={"count": len(group)})
            left = self._one_by_one(group, write) if len(group) > 1 else []
        if left is not None:
            self._held -= _claims(group) - _claims(left)
        return left

    def _one_by_one(self, group: list[Ended], write: Write) -> list[Ended] | None:
        """Settle each alone, but wait for no workspace twice."""
        left: list[Ended] = []
        for ended in group:
            is_stuck = any(_workspace(one) == _workspace(ended) for one in left)
            held_up = [ended] if is_stuck else self._settle([ended], write)
            if held_up is None:
                return None
            left += held_up
        return left

    def _settle_doubts(self) -> None:
        if self._in_doubt:
            connection.close_if_unusable_or_obsolete()
            self._in_doubt = not take_back_unknown(worker=self.worker, known=self._held)


def _claims(group: Sequence[Ended]) -> set[uuid.UUID]:
    return {ended.row.claim_id for ended in group}


def _workspace(ended: Ended) -> uuid.UUID:
    return ended.row.workspace_id


def _away(what: str) -> None:
    logger.warning(what, exc_info=True)
    connection.close_if_unusable_or_obsolete()
