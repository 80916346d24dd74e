"""A process that sleeps in the middle of a transaction holds up its workspace for seconds only."""

import contextlib
import time
import uuid
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from config.settings.database import databases
from tasks_app.actions.task import create_task
from tasks_app.api import task as task_api
from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import engine as engine_module
from tasks_app.delivery import settle as settle_module
from tasks_app.delivery.beats import CAUTION
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.settle import Ended
from tasks_app.events.record import lock_heads
from tasks_app.models import Task, Workspace
from tests.support.api_server import database_url
from tests.support.backlog import backlog
from tests.support.callers import caller
from tests.support.engine import engine, states, to
from tests.support.factories import cause
from tests.support.threads import DEADLINE, backend_pid, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)


@pytest.mark.parametrize("role", ["api", "worker", "stream"])
def test_who_sleeps_with_the_head_of_a_log_loses_it_before_others_give_up(
    workspace: Workspace, role: str
) -> None:
    options = databases(database_url(), role)["default"]["OPTIONS"]["options"]
    with contextlib.closing(psycopg.connect(database_url(), options=options)) as sleeper:
        sleeper.execute(
            "SELECT 1 FROM workspace_head WHERE workspace_id = %s FOR UPDATE", [workspace.pk]
        )
        # It sleeps. What follows waits for it, for lock_timeout (5 s) at most.
        create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            sleeper.execute("SELECT 1")
    assert Task.objects.count() == 1


def test_an_outcome_whose_settling_slept_too_long_is_settled_by_the_next_connection(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    backlog(there, 1)
    ledger = DatabaseLedger("w")
    rows = ledger.lease(2)
    assert rows is not None
    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 50")  # milliseconds
    pid, real = backend_pid(), lock_heads

    def sleep_until_given_up(workspaces: Iterable[uuid.UUID]) -> None:
        real(workspaces)
        in_thread(lambda: until(lambda: not lives(pid), "PostgreSQL gives it up")).result(DEADLINE)

    monkeypatch.setattr(settle_module, "lock_heads", sleep_until_given_up)
    group = [Ended(row, DONE) for row in rows]
    assert ledger.settle(group) is None
    monkeypatch.undo()
    assert states(there) == ["leased"]
    assert ledger.settle(group) == []
    assert states(there) == ["succeeded"]


def lives(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone() is not None


def test_a_request_that_slept_too_long_is_told_503(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused machine, not a defect: the client may try again."""

    def given_up(*_: object, **__: object) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            pid = backend_pid()
            gone = in_thread(lambda: until(lambda: not lives(pid), "PostgreSQL gives it up"))
            gone.result(DEADLINE)
            cursor.execute("SELECT 1")

    monkeypatch.setattr(task_api, "create_task", given_up)
    answer = caller(workspace).post("tasks/", {"title": "t"})
    assert (answer.status, answer.body["type"]) == (503, "/problems/unavailable")


def test_who_is_heard_but_hung_until_its_lease_has_ended_sends_no_more(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that beats goes on where the loop hangs."""
    there = to(workspace, "http://127.0.0.1:9/")
    backlog(there, 1)
    with engine() as running:
        leased_at = time.monotonic()
        rows = DatabaseLedger(running.beats.name).lease(1)
        assert rows
        assert running._may_send(rows[0], leased_at)
        ends = there.timeout + settings.DELIVERY_LEASE_MARGIN
        for seconds, is_ours in ((ends - 2 * CAUTION, True), (ends - CAUTION, False)):
            later = SimpleNamespace(monotonic=partial(float, leased_at + seconds))
            monkeypatch.setattr(engine_module, "time", later)
            assert running._may_send(rows[0], leased_at) is is_ours
