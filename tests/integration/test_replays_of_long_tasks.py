"""A task goes into a replay in whole, so one with very many events is refused and never half in."""

import pytest

from tasks_app.delivery import replaying
from tasks_app.models import Delivery, Workspace
from tests.support.callers import Caller, caller
from tests.support.engine import to
from tests.support.latest import DONE, NOWHERE, change, make, settled
from tests.support.replays import replay, walk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)


def test_a_task_with_too_many_is_refused_when_counted(
    api: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_app.actions.replay.LONGEST", 3)
    there = to(workspace, NOWHERE)
    task = make(workspace)
    for number in range(1, 4):
        change(task, str(number))
    under_way = api.post(f"destinations/{there.pk}/replay/", {"from_seq": 1, "dry_run": True})
    assert (under_way.status, under_way.body["skipped"]) == (200, 4)  # nothing of it is chosen
    while settled(DONE):
        pass
    for body in ({"from_seq": 1}, {"from_seq": 1, "dry_run": True}):
        answer = api.post(f"destinations/{there.pk}/replay/", body)
        assert (answer.status, answer.pointers) == (400, [("", "task_too_long")])


def test_one_that_grew_too_long_ends_the_replay_with_nothing_of_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, "short")
    task = make(workspace)
    for number in range(1, 6):
        change(task, str(number))
    while settled(DONE):
        pass
    begun = replay(there)
    monkeypatch.setattr(replaying, "LONGEST", 5)
    monkeypatch.setattr(replaying, "STEP", 2)
    ended = walk(begun)
    assert (ended.state, ended.reason, ended.made) == ("cancelled", "task_too_long", 1)
    assert Delivery.objects.filter(replay=str(begun.pk)).count() == 1


def test_many_tasks_of_many_events_go_in_a_few_at_a_time(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step makes about STEP deliveries, however many events each task has."""
    there = to(workspace, NOWHERE)
    for _ in range(4):
        task = make(workspace)
        for number in range(1, 5):
            change(task, str(number))
    while settled(DONE):
        pass
    begun = replay(there)
    monkeypatch.setattr(replaying, "STEP", 7)
    made: list[int] = []
    while replaying.advance(begun.pk):
        begun.refresh_from_db()
        made.append(begun.made)
    steps = [after - before for before, after in zip([0, *made], made, strict=False)]
    assert sum(steps) == 20
    assert max(steps) <= 10
