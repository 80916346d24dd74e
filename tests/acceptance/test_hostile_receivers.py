"""All hostile receivers at once through one real worker, and a healthy one beside them."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_app.actions.task import create_task
from tasks_app.models import Attempt, Delivery, Destination, Workspace
from tests.support import factories
from tests.support.engine import to
from tests.support.factories import cause
from tests.support.hostile_world import HANGING, Case, World, hostile_names, hostile_world
from tests.support.in_loop import in_loop
from tests.support.sink import sink
from tests.support.threads import until
from tests.support.worker import Running, beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

DEADLINE = 10  # seconds
WAVES = 2
SLOTS = 64  # fewer than two waves need: a slot that stayed taken would be missed
LATE = {"dns_failing": "dns_timeout"}  # asked five times over: may be too late on a busy machine
MIB = 2**20
GROWTH = 20 * MIB


def change(workspace: Workspace) -> None:
    """Let every destination of a workspace have something to get."""
    create_task(workspace_id=workspace.pk, fields={"title": "one"}, cause=cause())


def memory(running: Running) -> int:
    """Return the bytes that the worker's children hold in memory."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in running.children]
    return sum(pages) * 4096


@contextlib.contextmanager
def peak(running: Running) -> Iterator[list[int]]:
    """Note the highest memory while it lasts, a hundred times a second."""
    seen, done = [memory(running)], threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            seen[0] = max(seen[0], memory(running))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def attempts(destination: Destination) -> list[Attempt]:
    """Return what was tried, in order."""
    return list(Attempt.objects.filter(delivery__destination=destination).order_by("started_at"))


def under_way(destinations: list[Destination]) -> int:
    """Return how many deliveries are being sent."""
    return Delivery.objects.filter(destination__in=destinations, state="leased").count()


def check(case: Case, tried: list[Attempt]) -> None:
    """Each attempt says what went wrong, in which phase, and where its time went."""
    assert len(tried) == WAVES, case.name
    for one in tried:
        assert one.error in {case.error, LATE.get(case.name, case.error)}, case.name
        assert (one.failed_phase, one.status_code) == (case.phase, case.status), case.name
        assert one.detail or not case.error, case.name
        assert one.phases, case.name
        assert not case.phase or case.phase in one.phases, case.name
        assert one.duration_ms <= (DEADLINE + 1) * 1000, case.name
        assert sum(one.phases.values()) <= one.duration_ms + 1, case.name


@pytest.fixture
def well() -> Iterator[Workspace]:
    """A workspace with one destination that answers."""
    with sink() as out:
        there = factories.workspace()
        to(there, out.url)
        yield there


def settled(workspace: Workspace) -> int:
    """Return how many deliveries of a workspace have succeeded."""
    return Delivery.objects.in_workspace(workspace.pk).filter(state="succeeded").count()


def one_well(workspace: Workspace) -> None:
    """Let the healthy destination get one more."""
    before = settled(workspace)
    change(workspace)
    until(lambda: settled(workspace) == before + 1, "the healthy one is settled")


def one_wave(
    number: int, world: World, hostile: list[Destination], own: Workspace, well: Workspace
) -> None:
    """Send to all; while those that hang do, a healthy destination gets its own."""
    change(own)
    until(lambda: world.have_their_request(number), "those that hang have their request")
    one_well(well)
    hanging = [one for one in hostile if one.name in HANGING]
    assert under_way(hanging) == len(HANGING)
    until(lambda: under_way(hostile) == 0, "every slot is free", seconds=DEADLINE + 20)


def test_no_hostile_receiver_costs_more_than_its_own_slot_until_its_own_deadline(
    workspace: Workspace, well: Workspace, tmp_path: Path
) -> None:
    with in_loop(hostile_world()) as world, in_loop(hostile_names()) as names:
        settings = {
            "OUTBOUND_DNS_SERVERS": names.address,
            "DELIVERY_IN_FLIGHT": str(SLOTS),
        }
        with beat(tmp_path), worker(tmp_path, **settings) as running:
            for _ in range(20):  # what any work costs once: pools, caches
                one_well(well)
            hostile = [
                to(workspace, case.url, name=case.name, timeout=DEADLINE, retry_schedule=[3600])
                for case in world.cases
            ]
            before = memory(running)
            with peak(running) as seen:
                for number in range(1, WAVES + 1):
                    one_wave(number, world, hostile, workspace, well)
            grown = seen[0] - before
    assert grown < GROWTH, f"{grown / MIB:.1f} MiB"
    for case, destination in zip(world.cases, hostile, strict=True):
        check(case, attempts(destination))
    assert Delivery.objects.in_workspace(well.pk).exclude(state="succeeded").count() == 0
