"""PostgreSQL goes away while a drain is sending: outcomes are kept and written down later."""

import contextlib
import threading
from collections.abc import Callable, Sequence

import pytest
from django.db import connection

from tasks_app.delivery.sweep import sweep
from tasks_app.delivery.worker import Turn
from tasks_app.models import Attempt, ProcessBeat, Workspace
from tests.support.backlog import backlog
from tests.support.engine import engine, states, to
from tests.support.sink import Came, held, sink
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def end_every_other_connection() -> None:
    """Do to the others what a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_outcomes_are_settled_once_the_database_is_back(workspace: Workspace) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out:
        there = to(workspace, out.url, max_concurrency=3)
        backlog(there, 6)
        with engine() as running, contextlib.closing(Turn()) as turn:
            drained = in_thread(lambda: running.drain(turn))
            out.wait_for(3)
            end_every_other_connection()
            gate.set()
            drained.result(DEADLINE)
            if "succeeded" in states(there) and "pending" in states(there):
                running.drain(turn)  # a lease failed: that drain ended, and the sweep rings
    assert states(there) == ["succeeded"] * 6
    assert len(out.came) == 6
    assert Attempt.objects.count() == 6


def test_the_sweep_survives_a_restart_of_the_database(workspace: Workspace) -> None:
    """Celery keeps the broken connection, and would hand it to the next 500 sweeps."""
    connection.ensure_connection()
    in_thread(end_every_other_connection).result(DEADLINE)
    sweep()
    assert ProcessBeat.objects.filter(kind="beat").exists()


def test_a_torn_drain_gives_back_what_it_was_sending(workspace: Workspace) -> None:
    """What a SystemExit leaves on the loop must not finish later, beside another's send."""
    gate = threading.Event()
    with sink(held(gate)) as out:
        there = to(workspace, out.url, max_concurrency=3)
        backlog(there, 3)
        with engine() as running, contextlib.closing(Turn()) as turn:
            turn.is_over = _raises_after(out.came)  # type: ignore[method-assign]
            with pytest.raises(SystemExit):
                running.drain(turn)
        assert states(there) == ["pending"] * 3
        gate.set()
    assert not Attempt.objects.exists()


def _raises_after(came: Sequence[Came]) -> Callable[[], bool]:
    def is_over() -> bool:
        if len(came) == 3:
            raise SystemExit
        return False

    return is_over
