"""A group of outcomes that is written one by one survives a database that goes away midway."""

from collections.abc import Sequence

import pytest

from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import ledger as ledger_module
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.settle import Ended, settle
from tasks_app.models import Attempt, Workspace
from tests.integration.test_database_away import end_every_other_connection
from tests.support.backlog import backlog
from tests.support.engine import states, to
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
FINE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
UNWRITABLE = Outcome(verdict=Verdict.SUCCEEDED, status_code=10**6, phases={}, duration_ms=1.0)


def test_outcomes_behind_one_that_is_refused_are_tried_again_when_the_database_is_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    backlog(there, 4)
    ledger = DatabaseLedger("w")
    rows = ledger.lease(8)
    assert rows is not None
    group = [
        Ended(row, outcome) for row, outcome in zip(rows, [UNWRITABLE, *[FINE] * 3], strict=True)
    ]
    calls: list[int] = []

    def away_at_the_third_of_them(some: Sequence[Ended]) -> int:
        calls.append(len(some))
        if calls == [4, 1, 1, 1]:
            in_thread(end_every_other_connection).result(DEADLINE)
        return settle(some)

    monkeypatch.setattr(ledger_module, "settle", away_at_the_third_of_them)
    assert ledger.settle(group) is None
    assert states(there).count("succeeded") == 1
    assert ledger.settle(group) == []
    assert states(there) == ["leased", *["succeeded"] * 3]
    assert Attempt.objects.count() == 3
