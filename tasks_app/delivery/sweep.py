"""The sweep, rung by beat every second: what was lost is found, and due work gets its bell.

Idempotent and cheap when nothing is due. Each job is a transaction of its own under an advisory
lock, so two beats and two sweeps at once do no harm.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from django.db import close_old_connections, connection, transaction

from tasks_app.delivery.answers import forget_answers
from tasks_app.delivery.away import is_away
from tasks_app.delivery.beats import beat
from tasks_app.delivery.belts import follow_lost_chains, give_stuck_turns
from tasks_app.delivery.clear import (
    cancel_of_deleted,
    cancel_of_long_deleted,
    forget_the_old,
)
from tasks_app.delivery.counts import forget_counts
from tasks_app.delivery.due import AHEAD, NEVER, due_in
from tasks_app.delivery.erase import erase_some, forget_mail
from tasks_app.delivery.freeing import let_some_go
from tasks_app.delivery.long_queues import end_some
from tasks_app.delivery.post import send_notices
from tasks_app.delivery.ramp import close_ramps
from tasks_app.delivery.replaying import replay_some
from tasks_app.delivery.retention import forget_some
from tasks_app.delivery.take_over import take_over
from tasks_app.events.commit_hook import ring_drain
from tasks_app.observability.metric_report import fold_the_dead

logger = logging.getLogger(__name__)

Jobs = tuple[Callable[[], int], ...]

LOCK: Final = 0x5EE9  # pg_advisory: any numbers that nothing else here uses
BROOM: Final = 0x5EEA
SELDOM: Final = 60.0  # seconds
BATCHES: Final = 5  # of what is let go, ended or forgotten, each a transaction of its own
SLICE: Final = 0.5  # seconds of one sweep in which the past is erased

_last_seldom = [float("-inf")]


def sweep() -> None:
    """Take over, clear up, walk replays, ring where something is due, and at last erase the past.

    Celery keeps the connection from task to task; one that PostgreSQL's restart has broken would
    fail every sweep, so it is checked first.
    """
    close_old_connections()
    beat("beat", "beat")
    clear_up()
    if due_in(ahead=AHEAD) < NEVER:
        ring_drain()
    send_notices()
    erase_the_past()


def clear_up() -> None:
    """Do all that the sweep does but the ringing: for whoever drains without beat and broker."""
    seldom, in_batches = _seldom()
    for job in (take_over, cancel_of_deleted, close_ramps, *seldom):
        _isolated(partial(_alone, job))
    for job in (end_some, let_some_go, forget_answers, forget_counts, *in_batches):
        for _ in range(BATCHES):
            if not _isolated(partial(_alone, job)):
                break
    _isolated(replay_some)


def erase_the_past() -> None:
    """Erase what is no longer kept: last, for a while, and under a lock of its own.

    However slow the disks are, it keeps no bell, no take-over and no other process's sweep waiting.
    """
    ends = time.monotonic() + SLICE
    for job in (erase_some, forget_some):
        for _ in range(BATCHES):
            if time.monotonic() >= ends or not _isolated(partial(_alone, job, lock=BROOM)):
                break


def _isolated(work: Callable[[], int]) -> int:
    """Do the work; its failure is logged and keeps neither the others nor the bell from theirs."""
    try:
        return work()
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("sweep_job_failed", extra={"job": repr(work)})
        return 0


def _seldom() -> tuple[Jobs, Jobs]:
    """Return the jobs that are only belts and brooms, once a minute: for once, and in batches."""
    if time.monotonic() - _last_seldom[0] < SELDOM:
        return (), ()
    _last_seldom[0] = time.monotonic()
    once = (follow_lost_chains, give_stuck_turns, forget_the_old, forget_mail, fold_the_dead)
    return once, (cancel_of_long_deleted,)


@transaction.atomic
def _alone(job: Callable[[], int], *, lock: int = LOCK) -> int:
    """Run the job unless another sweep is at it; returns how much it did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
        return job() if cursor.fetchone()[0] else 0
