"""Under load of four workers: first attempts before retries, urgent first, and nobody starves."""

import threading
from collections.abc import Sequence
from functools import partial
from operator import itemgetter

import pytest
from django.db import connection

from tasks_app.connectors.base import Outcome, Verdict
from tasks_app.delivery import lease as leasing
from tasks_app.delivery.lease import lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle
from tasks_app.models import Delivery, Destination, Workspace
from tests.support.backlog import backlog
from tests.support.engine import to
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
DONE = Outcome(verdict=Verdict.SUCCEEDED, status_code=200, phases={}, duration_ms=1.0)
NOWHERE = "http://127.0.0.1:9/"
WORKERS = 4


def ranked(of: Destination, count: int, rank: int, *, older_by: float = 0.0) -> None:
    """Add so many due deliveries of a rank, older than others by so many seconds."""
    last = Delivery.objects.filter(destination=of).count()
    backlog(of, count)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery SET rank = %s,"
            " next_attempt_at = next_attempt_at - make_interval(secs => %s)"
            " WHERE destination_id = %s AND sequence > %s",
            [rank, older_by, of.pk, last],
        )


def in_turns(rounds: int) -> list[Leased]:
    """Let four workers lease and settle at once, round for round; return all in that order.

    Within a round by rank: who of the four came first to a destination is nobody's business.
    """
    taken: list[Leased] = []
    for _ in range(rounds):
        together = threading.Barrier(WORKERS)
        futures = [in_thread(partial(_one, f"w{n}", together)) for n in range(WORKERS)]
        rows = [row for future in futures for row in future.result(DEADLINE)]
        settle([Ended(row, DONE) for row in rows])
        taken += [row for _, row in sorted(zip(ranks(rows), rows, strict=True), key=itemgetter(0))]
    return taken


def _one(worker: str, together: threading.Barrier) -> list[Leased]:
    together.wait(DEADLINE)
    return lease(worker=worker, wanted=10)


def ranks(rows: Sequence[Leased]) -> list[int]:
    found = dict(Delivery.objects.values_list("pk", "rank"))
    return [found[row.delivery_id] for row in rows]


def test_no_retry_goes_while_a_first_attempt_is_due(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old the retries are, and in each destination for itself."""
    monkeypatch.setattr(leasing, "BY_AGE_EVERY", 10**9)
    busy = to(workspace, NOWHERE, name="busy", max_concurrency=8)
    other = to(workspace, NOWHERE, name="other", max_concurrency=8)
    ranked(busy, 60, 2, older_by=3600)
    ranked(busy, 60, 1)
    ranked(busy, 20, 0)
    ranked(other, 10, 2)
    taken = in_turns(40)
    assert len(taken) == 150
    mine = ranks([row for row in taken if row.destination_id == busy.pk])
    assert mine == sorted(mine)
    first = [row.destination_id for row in taken[:30]]
    assert other.pk in first  # its retries wait for nobody else's first attempts


def test_a_flood_of_urgent_ones_starves_neither_first_attempts_nor_retries(
    workspace: Workspace,
) -> None:
    """More urgent ones come than go: one lease in eight takes the oldest, whatever its rank."""
    there = to(workspace, NOWHERE, max_concurrency=4)
    ranked(there, 3, 1, older_by=60)
    ranked(there, 3, 2, older_by=30)
    seen: list[int] = []
    for _ in range(60):
        ranked(there, 40, 0)
        seen += ranks(in_turns(4))
        if seen.count(1) == 3 and seen.count(2) == 3:
            break
    assert (seen.count(1), seen.count(2)) == (3, 3)
    assert 0 in seen  # and the urgent ones had room beside them
    assert Delivery.objects.filter(state="pending", rank=0).exists()
