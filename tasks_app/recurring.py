"""Schedules, expanded by the sweep: what is due becomes tasks, workspace by workspace in turns.

A turn is one short transaction for at most BATCH schedules and MOST tasks of one workspace, so
neither a flood of one nor a head that somebody holds keeps up another's. Two sweeps pass over each
other's rows.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final

from django.db import OperationalError, close_old_connections, connection, transaction
from psycopg.errors import QueryCanceled

from tasks_app.actions.occurrence import MOST, is_misplaced, make_due, realign
from tasks_app.delivery.away import is_away
from tasks_app.delivery.heads import lock_some_heads
from tasks_app.events.record import lock_free_heads
from tasks_app.models import Schedule

logger = logging.getLogger(__name__)

BATCH: Final = 50  # schedules in one transaction
SLICE: Final = 0.5  # seconds of one sweep
STRETCH: Final = 500  # schedules looked at for what other data of time zones does to them
KEPT: Final = "90 days"  # occurrences
SELDOM: Final = 60.0  # seconds
FORGET: Final = 5000  # of them in one transaction
TRIES: Final = 30  # turns in this process, for what nobody foresaw

_OLD: Final = f"""
    DELETE FROM schedule_occurrence WHERE id = ANY(ARRAY(
        SELECT id FROM schedule_occurrence
        WHERE created_at < statement_timestamp() - interval '{KEPT}' LIMIT {FORGET}))
"""  # noqa: S608 - constants

_most = dict[uuid.UUID, int]()  # tasks in one turn, where MOST were too many

Heads = Callable[[list[uuid.UUID]], set[uuid.UUID]]


class Turn(Enum):
    """What came of a workspace's turn."""

    DONE = "done"
    MORE = "more"
    BUSY = "busy"


def make_scheduled() -> int:
    """Make tasks of what is due, for about SLICE seconds; return how many turns made any.

    Called by beat, every second.
    """
    close_old_connections()
    moved, busy = _rounds(time.monotonic() + SLICE)
    if busy:  # a head that others write to all the time is waited for, one a sweep
        one = random.choice(busy)  # noqa: S311 - no secret
        moved += _isolated(partial(_sized_turn, one, lock_some_heads)) is Turn.MORE
    _isolated(_look_at_zones)
    _isolated(_forget_seldom)
    return moved


def _rounds(ends: float) -> tuple[int, list[uuid.UUID]]:
    """Give every workspace a turn, and those with more to make another.

    Return how many turns made something, and who is held up.
    """
    waiting, busy, moved = _workspaces(), list[uuid.UUID](), 0
    while waiting:
        more = []
        for pk in waiting:
            turn = _isolated(partial(_sized_turn, pk, lock_free_heads))
            if turn is Turn.MORE:
                more.append(pk)
                moved += 1
            elif turn is Turn.BUSY:
                busy.append(pk)
            if time.monotonic() > ends:
                return moved, busy
        waiting = more
    return moved, busy


def _workspaces() -> list[uuid.UUID]:
    """Return those with something due, by chance: there may be too many for once."""
    rows = Schedule.objects.due().order_by("workspace_id").values_list("workspace_id", flat=True)
    found = list(rows.distinct())
    random.shuffle(found)
    return found


def _isolated(work: Callable[[], Turn]) -> Turn:
    """Do the work; its failure is logged and keeps no other from its turn."""
    try:
        return work()
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("schedules_failed", extra={"job": repr(work)})
        return Turn.DONE


@transaction.atomic
def _turn(workspace_id: uuid.UUID, heads: Heads) -> Turn:
    """Make what is due of some schedules of a workspace, the longest due first."""
    rows = Schedule.objects.in_workspace(workspace_id).due().with_now().order_by("next_at", "pk")
    due = list(rows.select_for_update(no_key=True, skip_locked=True, of=("self",))[:BATCH])
    if not due:
        return Turn.DONE
    if not heads([workspace_id]):
        return Turn.BUSY
    moved = make_due(due, most=_most.get(workspace_id, MOST), tries=TRIES)
    return Turn.MORE if moved else Turn.DONE


def _sized_turn(workspace_id: uuid.UUID, heads: Heads) -> Turn:
    """Give a turn; where it took longer than a statement may, the next one makes much less.

    A quarter, as each that is too large holds the head of the log until it is cancelled.
    """
    most = _most.get(workspace_id, MOST)
    try:
        turn = _turn(workspace_id, heads)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            _most[workspace_id] = max(most // 4, 1)
        raise
    if most * 2 >= MOST:
        _most.pop(workspace_id, None)
    else:
        _most[workspace_id] = most * 2
    return turn


class Walk:
    """How far this process has looked for schedules that its time zone data puts elsewhere.

    The data can't change while a process lives, so one walk at its beginning is enough; what is
    due is looked at once more when it is made.
    """

    def __init__(self) -> None:
        self.after: uuid.UUID | None = uuid.UUID(int=0)

    def stretch(self) -> list[Schedule]:
        """Return the next schedules to come; none once all have been seen."""
        if self.after is None:
            return []
        rows = Schedule.objects.filter(pk__gt=self.after, next_at__isnull=False).order_by("pk")
        found = list(rows[:STRETCH])
        self.after = found[-1].pk if len(found) == STRETCH else None
        return found


_walk, _forgot = Walk(), [float("-inf")]


def _look_at_zones() -> Turn:
    for schedule in _walk.stretch():
        if is_misplaced(schedule):
            realign(schedule.pk)
    return Turn.DONE


def _forget_seldom() -> Turn:
    if time.monotonic() - _forgot[0] > SELDOM:
        _forgot[0] = time.monotonic()
        forget_old_occurrences()
    return Turn.DONE


@transaction.atomic
def forget_old_occurrences() -> int:
    """Delete a batch of what came of times long ago; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_OLD)
        return int(cursor.rowcount)
