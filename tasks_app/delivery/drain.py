"""Drain: what a doorbell starts. Two at once do no harm, and one worker runs one at a time.

Whoever has the turn reads a word at once, busy or not. One that does not for three seconds has been
stopped or hangs in something that is not ours: then the next bell's process drains in its stead.
"""

import logging
import os
import time
from typing import Final

from tasks_app.delivery import beats
from tasks_app.delivery.engine import Engine
from tasks_app.delivery.stand_in import StandIn, sweeping
from tasks_app.delivery.worker import Turn, Word, turn
from tasks_app.events.wake import wake_heard

logger = logging.getLogger(__name__)

FIRST_BEAT_PATIENCE = 5.0  # seconds
LOOKS: Final = (*(0.001 * 2**n for n in range(5)), *(0.02,) * 150)
"""Seconds before each look whether the word was read: counted, not timed, as a clock goes on while
all of a worker is stopped."""

_engines: dict[int, Engine] = {}


def drain(turn: Turn = turn) -> None:
    """Deliver all that is due, or leave word with the drain that this worker runs already.

    The wake is cleared first and word is left before the turn is tried, so a commit that rings
    while a drain is ending is seen by it, or begins the next.
    """
    wake_heard()
    turn.leave_word()
    looks = iter(LOOKS)
    while turn.has_word() and not turn.is_over():
        if turn.take():
            _drain_until_no_word_is_left(turn)
        elif (pause := next(looks, None)) is not None:
            time.sleep(pause)
        else:
            _drain_in_its_stead(turn)
            return


def _drain_until_no_word_is_left(turn: Turn) -> None:
    try:
        turn.read_word()
        run_once(turn)
    finally:
        turn.leave()


def _drain_in_its_stead(turn: Turn) -> None:
    if turn.is_elsewhere():
        logger.warning("drain_does_not_answer")
        with sweeping():
            run_once(StandIn(turn))


def run_once(turn: Word) -> None:
    """Run one drain in this process's engine; a broken engine is replaced by the next drain."""
    signs = beats.this_process()
    if not signs.wait_heard(FIRST_BEAT_PATIENCE):
        return  # the database is away; the sweep rings once it is back
    engine = _engines.get(os.getpid()) or _engines.setdefault(os.getpid(), Engine(signs))
    try:
        engine.drain(turn)
    except BaseException:
        close_engine()
        raise


def close_engine() -> None:
    """Let this process's engine go, if there is one."""
    engine = _engines.pop(os.getpid(), None)
    if engine is not None:
        engine.close()
