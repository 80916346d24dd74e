"""Mode latest under two hands at once: what is leased is not displaced, and the newest arrives."""

import random
from collections import defaultdict
from uuid import UUID

import pytest
from django.db import connection

from tasks_app.actions.delivery import cancel_delivery
from tasks_app.connectors.base import Outcome
from tasks_app.delivery.lease import give_back, lease
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.settle import Ended, settle
from tasks_app.delivery.take_over import take_back_unknown
from tasks_app.models import Delivery, Event, Workspace
from tests.races.test_delivery_races import Holder, blocked
from tests.support.engine import make_due, states, to
from tests.support.factories import cause
from tests.support.latest import DONE, FAILED, NOWHERE, change, latest, make, rows, settled

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_while_the_older_is_being_leased_waits_behind_it(workspace: Workspace) -> None:
    """The lease has the row locked and is not committed: the change passes over it at once."""
    there = latest(workspace)
    task = make(workspace)
    leasing = Holder(lambda: lease(worker="w", wanted=1))
    change(task, "1")
    leasing.commit()
    assert states(there) == ["leased", "waiting"]
    change(task, "2")
    assert states(there) == ["leased", "superseded", "waiting"]


def test_a_lease_while_the_older_is_being_displaced_takes_nothing_old(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    changing = Holder(lambda: change(task, "1"))
    assert lease(worker="w", wanted=9) == []
    changing.commit()
    assert states(there) == ["superseded", "pending"]


def test_the_older_fails_while_the_change_commits(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    (row,) = lease(worker="w", wanted=1)
    changing = Holder(lambda: change(task, "1"))
    failed = blocked(lambda: settle([Ended(row, FAILED)]))
    changing.commit()
    failed()
    assert states(there) == ["superseded", "pending"]


def test_the_change_comes_while_the_older_fails(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    (row,) = lease(worker="w", wanted=1)
    failing = Holder(lambda: settle([Ended(row, FAILED)]))
    changed = blocked(lambda: change(task, "1"))
    failing.commit()
    changed()
    assert states(there) == ["superseded", "pending"]


def test_a_chain_goes_on_behind_what_displaced_its_first(workspace: Workspace) -> None:
    """The second wants every event: it gets each, once the first has that state or a newer one."""
    first = latest(workspace, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    task = make(workspace)
    change(task, "1")
    assert states(first) == ["superseded", "pending"]
    assert [row.behind for row in rows(second)] == [row.pk for row in rows(first)]
    assert settled(DONE) == 1
    assert states(second) == ["pending", "waiting"]
    assert rows(second)[0].behind == rows(first)[1].pk


def test_a_chain_breaks_with_what_displaced_its_first(workspace: Workspace) -> None:
    first = latest(workspace, name="first", retry_schedule=[])
    second = to(workspace, NOWHERE, name="second", after=first.pk)
    task = make(workspace)
    change(task, "1")
    assert settled(FAILED) == 1
    assert states(first) == ["superseded", "dead"]
    assert states(second) == ["cancelled", "cancelled"]


def test_what_its_chain_still_holds_up_displaces_nothing(workspace: Workspace) -> None:
    """Or a destination behind one that lags would wait until nothing changes any more."""
    first = to(workspace, NOWHERE, name="first")
    second = latest(workspace, name="second", after=first.pk)
    task = make(workspace)
    change(task, "1")
    assert settled(DONE) == 1
    assert states(second) == ["pending", "waiting"]
    change(task, "2")
    assert states(second) == ["pending", "waiting", "waiting"]
    first_only = [row for row in lease(worker="w", wanted=9) if row.destination_id == first.pk]
    settle([Ended(row, DONE) for row in first_only])
    assert states(second)[0] == "leased"
    settle([Ended(row, FAILED) for row in leased_by("w")])
    assert states(second) == ["superseded", "pending", "waiting"]


def leased_by(worker: str) -> list[Leased]:
    """Return again what a worker holds: given back and leased anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery SET state = 'pending', claim_id = NULL, leases = 0"
            " WHERE leased_by = %s",
            [worker],
        )
    return lease(worker=worker, wanted=9)


class Story:
    """Two workers and a person, in whatever order chance has it, at three kinds of destinations."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self.dice = random.Random(seed)
        self.workspace = workspace
        schedule = [1] * 30
        self.alone = latest(workspace, name="alone", retry_schedule=schedule, max_concurrency=2)
        self.first = latest(workspace, name="first", retry_schedule=schedule)
        self.behind = to(
            workspace, NOWHERE, name="behind", after=self.first.pk, retry_schedule=schedule
        )
        self.tasks = [make(workspace, "0") for _ in range(3)]
        self.held: dict[str, list[Leased]] = defaultdict(list)
        self.arrived: dict[tuple[UUID, UUID | None], list[int]] = defaultdict(list)
        self.changes = 0

    def step(self) -> None:
        """Let somebody do something."""
        acts = [self.change] * 4 + [self.lease] * 3 + [self.settle] * 3
        self.dice.choice([*acts, self.give_back, self.die, make_due])()
        self.look()

    def change(self) -> None:
        """Change a task."""
        self.changes += 1
        change(self.dice.choice(self.tasks), str(self.changes))

    def lease(self) -> None:
        """Let a worker lease."""
        worker = self.dice.choice("ab")
        self.held[worker] += lease(worker=worker, wanted=self.dice.randint(1, 4))

    def settle(self) -> None:
        """Let a worker settle some of what it holds."""
        held = self.held[self.dice.choice("ab")]
        group = [held.pop(self.dice.randrange(len(held))) for _ in range(min(2, len(held)))]
        self.end(group, self.dice.choice([DONE, FAILED]))

    def end(self, group: list[Leased], outcome: Outcome) -> None:
        """Settle; what has succeeded has arrived."""
        settle([Ended(row, outcome) for row in group])
        for row in group if outcome is DONE else ():
            self.arrived[row.destination_id, row.task_id].append(row.event_seq)

    def give_back(self) -> None:
        """Let a worker give back what it has not sent."""
        held = self.held[self.dice.choice("ab")]
        give_back(held)
        held.clear()

    def die(self) -> None:
        """Let a worker forget what it holds, and find that out."""
        worker = self.dice.choice("ab")
        self.held[worker].clear()
        assert take_back_unknown(worker=worker, known=[])

    def look(self) -> None:
        """Never two of a queue at once; who is first does not wait for what has ended."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM delivery WHERE state = 'leased'"
                " GROUP BY destination_id, task_id HAVING count(*) > 1"
            )
            assert cursor.fetchone() is None
            cursor.execute(
                "SELECT 1 FROM delivery f JOIN delivery c"
                " ON c.id = aftercommit_stands_for(f.behind, 1000)"
                " WHERE f.state = 'waiting' AND c.ended_at IS NOT NULL AND f.sequence = ("
                "  SELECT min(o.sequence) FROM delivery o WHERE o.ended_at IS NULL"
                "  AND o.destination_id = f.destination_id AND o.task_id = f.task_id)"
            )
            assert cursor.fetchone() is None

    def finish(self) -> None:
        """Let everything end well."""
        self.die_all()
        for _ in range(200):
            make_due()
            held = lease(worker="last", wanted=9)
            if not held:
                break
            self.end(held, DONE)
        assert not Delivery.objects.unfinished().exists()

    def die_all(self) -> None:
        """Let both workers die."""
        for worker in "ab":
            take_back_unknown(worker=worker, known=[])


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_last_state_arrives_and_nothing_overtakes(
    workspace: Workspace, seed: int
) -> None:
    story = Story(workspace, seed)
    for _ in range(70):
        story.step()
    story.finish()
    for task in story.tasks:
        told = Event.objects.filter(task_id=task.pk, type__in=["task_created", "task_updated"])
        seqs = sorted(told.values_list("seq", flat=True))
        for there in (story.alone, story.first, story.behind):
            came = story.arrived[there.pk, task.pk]
            assert came[-1] == seqs[-1]
            assert came == sorted(came)
        assert story.arrived[story.behind.pk, task.pk] == seqs
    displaced = Delivery.objects.filter(state="superseded")
    assert displaced.exists()
    told_of = Event.objects.filter(type="task_sync_superseded").count()
    assert told_of == displaced.count()
    assert not displaced.filter(superseded_by=None).exists()


def test_a_displaced_one_is_not_cancelled_as_well(workspace: Workspace) -> None:
    there = latest(workspace)
    task = make(workspace)
    older = rows(there)[0]
    changing = Holder(lambda: change(task, "1"))

    def cancel() -> None:
        with pytest.raises(Exception, match="waits"):
            cancel_delivery(workspace_id=workspace.pk, delivery_id=older.pk, cause=cause())

    cancelled = blocked(cancel)
    changing.commit()
    cancelled()
    assert states(there) == ["superseded", "pending"]
