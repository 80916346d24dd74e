"""Drain: what a doorbell starts. Two at once do no harm, and one worker runs one at a time."""

import os

from tasks_app.delivery import beats
from tasks_app.delivery.engine import Engine
from tasks_app.delivery.worker import Turn, turn
from tasks_app.events.wake import wake_heard

FIRST_BEAT_PATIENCE = 5.0  # seconds

_engines: dict[int, Engine] = {}


def drain(turn: Turn = turn) -> None:
    """Deliver all that is due, or leave word with the drain that this worker runs already.

    The wake is cleared first and word is left before the turn is tried, so a commit that rings
    while a drain is ending is seen by it, or begins the next.
    """
    wake_heard()
    turn.leave_word()
    while turn.has_word() and not turn.is_over() and turn.take():
        try:
            turn.read_word()
            run_once(turn)
        finally:
            turn.leave()


def run_once(turn: Turn) -> None:
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
