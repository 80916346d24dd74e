"""Urgent and high tasks go first under load, at each destination, and the others go on meanwhile.

A real drain and a real receiver behind a backlog at several destinations; what counts is the order
in which requests arrive.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tasks_app.actions.task import create_task
from tasks_app.delivery import lease as leasing
from tasks_app.delivery.worker import Turn
from tasks_app.models import Delivery, Destination, Workspace
from tests.races.test_fairness import ranked
from tests.support.engine import deliver, engine, to
from tests.support.factories import cause
from tests.support.receiver import Exchange
from tests.support.sink import Came, Sink, sink
from tests.support.threads import DEADLINE, in_thread

pytestmark = pytest.mark.django_db(transaction=True)
CAP = 2
SLACK = CAP + 2  # what is in flight together may arrive in any order


async def slowly(_came: Came, exchange: Exchange) -> None:
    await asyncio.sleep(0.005)
    await exchange.answer()


@pytest.fixture
def busy(workspace: Workspace) -> Iterator[tuple[list[Destination], list[Sink]]]:
    """Yield two destinations, each with a receiver of its own."""
    with contextlib.ExitStack() as stack:
        here = [stack.enter_context(sink(slowly)) for _ in range(2)]
        yield [to(workspace, one.url, max_concurrency=CAP) for one in here], here


def arrived(of: Destination, here: Sink) -> list[int]:
    """Return the ranks of what came, in the order of arrival."""
    found = dict(Delivery.objects.filter(destination=of).values_list("sequence", "rank"))
    return [found[came.sequence] for came in here.came]


def test_a_backlog_arrives_by_rank_at_every_destination(
    busy: tuple[list[Destination], list[Sink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old the others are; without the turns by age, which the next test is about."""
    monkeypatch.setattr(leasing, "BY_AGE_EVERY", 10**9)
    for one in busy[0]:
        ranked(one, 10, 2, older_by=7200)
        ranked(one, 20, 1, older_by=3600)
        ranked(one, 10, 0)
    deliver()
    for one, here in zip(*busy, strict=True):
        ranks = arrived(one, here)
        assert len(ranks) == 40
        for place in range(SLACK, len(ranks)):
            assert max(ranks[: place - SLACK], default=0) <= ranks[place], (place, ranks)


def test_what_becomes_urgent_amid_a_backlog_passes_it_by(
    workspace: Workspace, busy: tuple[list[Destination], list[Sink]]
) -> None:
    for one in busy[0]:
        ranked(one, 50, 1, older_by=3600)
    with engine() as running, contextlib.closing(Turn()) as turn:
        draining = in_thread(lambda: running.drain(turn))
        for here in busy[1]:
            here.wait_for(10)
        for number in range(6):
            priority = ("urgent", "high")[number % 2]
            fields = {"title": str(number), "priority": priority}
            create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
        had = [len(here.came) for here in busy[1]]
        turn.leave_word()
        draining.result(DEADLINE * 3)
    for one, here, before in zip(*busy, had, strict=True):
        ranks = arrived(one, here)
        assert len(ranks) == 56
        last = max(place for place, rank in enumerate(ranks) if rank == 0)
        # In flight, or by one of the turns that go by age: never all of the 40 that were left.
        assert ranks[before : last + 1].count(1) <= 16, ranks


def test_those_that_are_not_urgent_go_on_while_urgent_ones_fill_every_slot(
    busy: tuple[list[Destination], list[Sink]],
) -> None:
    for one in busy[0]:
        ranked(one, 6, 1, older_by=3600)
        ranked(one, 6, 2, older_by=1800)
        ranked(one, 70, 0)
    deliver()
    for one, here in zip(*busy, strict=True):
        ranks = arrived(one, here)
        assert len(ranks) == 82
        while_flooded = ranks[: max(place for place, rank in enumerate(ranks) if rank == 0)]
        assert while_flooded.count(1) + while_flooded.count(2) >= 2, ranks
        assert while_flooded[:40].count(0) >= 25, ranks
