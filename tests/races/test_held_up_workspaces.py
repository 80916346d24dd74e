"""A workspace whose head is held keeps nobody else's outcomes and nobody else's leases."""

import contextlib
from collections.abc import Iterator

import pytest
from django.db import connection

from tasks_app.actions.task import create_task
from tasks_app.delivery import writer
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.settle import Ended
from tasks_app.delivery.take_over import take_back_unknown, take_over
from tasks_app.delivery.worker import Turn
from tasks_app.models import Attempt, Delivery, Destination, Workspace
from tests.races.test_sweeps_held_up import DONE, NOWHERE, held, no_patience
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.engine import engine, states, to
from tests.support.factories import cause
from tests.support.sink import sink
from tests.support.threads import DEADLINE, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def patience_again() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def one_each(*workspaces: Workspace) -> list[Destination]:
    """Return a destination of each workspace, with one delivery that is due."""
    made = []
    for each in workspaces:
        made.append(to(each, NOWHERE))
        create_task(workspace_id=each.pk, fields={"title": "t"}, cause=cause())
    return made


def test_outcomes_of_others_are_written_while_a_workspace_is_held_up(workspace: Workspace) -> None:
    theirs, ours = one_each(workspace, factories.workspace())
    ledger = DatabaseLedger("w")
    rows = ledger.lease(9)
    assert rows is not None
    group = [Ended(row, DONE) for row in rows]
    with held(workspace):
        no_patience()
        left = ledger.settle(group)
        assert (states(theirs), states(ours)) == (["leased"], ["succeeded"])
        assert left is not None
        assert [one.row.destination_id for one in left] == [theirs.pk]
        assert ledger.settle_apart(left) == left
    ledger._in_doubt = True  # as after a lease whose answer was lost
    ledger.lease(1)  # what is held up is known all the same
    assert states(theirs) == ["leased"]
    assert ledger.settle_apart(left) == []
    assert (states(theirs), Attempt.objects.count()) == (["succeeded"], 2)


def test_a_drain_goes_on_for_others_and_writes_down_what_was_held_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "AGAIN", 0.05)
    with sink() as out:
        theirs = to(workspace, out.url, name="theirs", max_concurrency=2)
        ours = to(factories.workspace(), out.url, name="ours", max_concurrency=2)
        backlog(theirs, 4)
        backlog(ours, 30)
        with engine() as running, contextlib.closing(Turn()) as turn:
            with held(workspace):
                drained = in_thread(lambda: running.drain(turn))
                until(lambda: states(ours) == ["succeeded"] * 30, "others are written down")
                assert sorted(states(theirs)) == ["leased"] * 2 + ["pending"] * 2
            drained.result(DEADLINE)
    assert states(theirs) == ["succeeded"] * 4
    assert len({came.id for came in out.came}) == len(out.came) == 34


def test_lost_leases_of_others_are_taken_over_while_a_workspace_is_held_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are lost there: one more than a batch."""
    monkeypatch.setattr("tasks_app.delivery.take_over.BATCH", 1)
    theirs, ours = one_each(workspace, factories.workspace())
    DatabaseLedger("w").lease(9)
    Delivery.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    with held(workspace):
        assert take_over() == 1
        assert (states(theirs), states(ours)) == (["leased"], ["pending"])
        assert take_over() == 0
    assert take_over() == 1
    assert states(theirs) == ["pending"]


def test_leases_nobody_knows_of_are_given_back_but_where_a_workspace_is_held_up(
    workspace: Workspace,
) -> None:
    theirs, ours = one_each(workspace, factories.workspace())
    DatabaseLedger("w").lease(9)
    ledger = DatabaseLedger("w")  # has heard of none
    with held(workspace):
        rows = ledger.lease(9)
        assert rows is not None
        assert [row.destination_id for row in rows] == [ours.pk]
        assert states(theirs) == ["leased"]
    rows = ledger.lease(9)
    assert rows is not None
    assert [row.destination_id for row in rows] == [theirs.pk]
    assert take_back_unknown(worker="w", known=[]) is True
