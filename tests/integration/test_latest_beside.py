"""Mode latest beside retries, mirrors, chains and workers that are told to stop."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks_app.actions.delivery import retry_delivery
from tasks_app.connectors.base import Outcome
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.pump import Pump
from tasks_app.models import Delivery, Workspace
from tests.support.engine import deliver, states, to
from tests.support.factories import cause
from tests.support.latest import (
    DONE,
    FAILED,
    NOWHERE,
    change,
    latest,
    make,
    rows,
    settled,
)
from tests.support.rest_server import rest_server

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_newest_that_waits_for_its_retry_keeps_its_time(workspace: Workspace) -> None:
    """What a person retried and what was mended behind it does not send the other at once."""
    first = to(workspace, NOWHERE, name="first", retry_schedule=[])
    second = latest(workspace, name="second", after=first.pk)
    task = make(workspace)
    settled(FAILED)
    change(task, "1")
    settled(DONE)  # at the first
    settled(FAILED)  # at the second
    waits = rows(second)[1]
    assert states(second) == ["cancelled", "pending"]
    dead = rows(first)[0]
    retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    settled(DONE)
    assert states(second) == ["superseded", "pending"]
    assert rows(second)[1].next_attempt_at == waits.next_attempt_at
    assert lease(worker="w", wanted=9) == []


def test_what_was_cut_off_midway_is_sent_until_its_outcome_is_known(workspace: Workspace) -> None:
    """It may have arrived, so nothing newer takes its place; what was not sent gives way."""
    there = latest(workspace)
    cut_off, not_sent = make(workspace), make(workspace)
    held = {row.task_id: row for row in lease(worker="w", wanted=9)}
    change(cut_off, "1")
    change(not_sent, "1")
    give_back([held[cut_off.pk]], unsent=False)
    give_back([held[not_sent.pk]])
    assert [row.state for row in rows(there) if row.task_id == cut_off.pk] == ["pending", "waiting"]
    assert [row.state for row in rows(there) if row.task_id == not_sent.pk] == [
        "superseded",
        "pending",
    ]


class KeepsUnsent(DatabaseLedger):
    """A ledger that gives nothing back while told so, as if the database were away."""

    keeps = True

    def give_back(self, rows: list[Leased]) -> list[Leased] | None:
        """Give back, or say that the database is away."""
        return None if self.keeps else super().give_back(rows)


@pytest.fixture
def threads() -> Iterator[list[ThreadPoolExecutor]]:
    made = [ThreadPoolExecutor(1) for _ in range(2)]
    yield made
    for one in made:
        one.shutdown()


def test_an_abandoned_drain_tells_what_it_has_begun_to_send_from_what_it_has_not(
    workspace: Workspace, threads: list[ThreadPoolExecutor]
) -> None:
    there = latest(workspace, max_concurrency=1)
    other = latest(workspace, name="other", max_concurrency=1)
    make(workspace)
    ledger, stuck = KeepsUnsent("w"), threading.Event()

    async def hangs(row: Leased) -> Outcome:
        stuck.set()
        await asyncio.Event().wait()
        return DONE

    asked: list[float] = []

    def may_send(_row: Leased, leased_at: float) -> bool:
        asked.append(leased_at)
        return len(asked) == 1

    async def run() -> None:
        pump = Pump(
            ledger=ledger,
            leasing=threads[0],
            writing=threads[1],
            send=hangs,
            may_lease=lambda: True,
            may_send=may_send,
            read_word=lambda: False,
            hear=lambda: None,
            slots=9,
        )
        running = asyncio.create_task(pump.run())
        while not (stuck.is_set() and len(asked) == 2):
            await asyncio.sleep(0.001)
        ledger.keeps = False
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pump.abandon()
        await asyncio.get_running_loop().run_in_executor(threads[0], ledger.close)
        await asyncio.get_running_loop().run_in_executor(threads[1], ledger.close)

    asyncio.run(run())
    assert states(there) == states(other) == ["pending"]
    assert sorted(Delivery.objects.values_list("leases", flat=True)) == [0, 1]


def test_a_mirror_that_wants_the_newest_makes_one_request_for_what_waits(
    workspace: Workspace,
) -> None:
    with rest_server() as server:
        there = to(workspace, server.url, kind="rest", mode="latest")
        task = make(workspace)
        for number in range(1, 4):
            change(task, str(number))
        deliver()
        assert states(there) == [*["superseded"] * 3, "succeeded"]
        change(task, "a")
        change(task, "b")
        deliver()
        assert [one.method for one in server.asked] == ["POST", "PUT"]
    assert states(there)[-2:] == ["superseded", "succeeded"]


def test_the_newest_goes_along_a_chain_of_those_that_want_only_that(workspace: Workspace) -> None:
    first = latest(workspace, name="first")
    second = latest(workspace, name="second", after=first.pk)
    third = latest(workspace, name="third", after=second.pk)
    task = make(workspace)
    for number in range(1, 4):
        change(task, str(number))
    for _ in range(3):
        assert settled(DONE) == 1
    for there in (first, second, third):
        assert states(there) == [*["superseded"] * 3, "succeeded"]
