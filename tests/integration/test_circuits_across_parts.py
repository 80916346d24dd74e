"""Circuits beside mirrors and replays: what says nothing closes none; nothing waits for ever."""

import time
import uuid
from typing import Any

import pytest

from tasks_app.actions.destination import pause_destination, resume_destination
from tasks_app.actions.task import create_task, delete_task
from tasks_app.delivery import replaying
from tasks_app.delivery.lease import lease
from tasks_app.models import Circuit, Destination, Task, Workspace
from tasks_app.queries.backlog import backlogs
from tests.support import factories
from tests.support.clock import let_pass
from tests.support.engine import deliver, states, to
from tests.support.factories import cause
from tests.support.replays import replay, walk
from tests.support.rest_server import rest_server
from tests.support.sink import sink, status

pytestmark = pytest.mark.django_db(transaction=True)


def make(workspace: Workspace, title: str = "t") -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def circuit(of: Destination) -> str:
    return backlogs([of.pk])[of.pk].circuit


def test_a_mirror_that_needs_no_request_neither_closes_a_circuit_nor_ends_a_streak(
    workspace: Workspace,
) -> None:
    with rest_server(refuse=lambda _method, _body: 503) as here:
        there = to(workspace, here.url, kind="rest", max_concurrency=1)
        tasks = [make(workspace, str(number)) for number in range(6)]
        # Created and deleted before anything was sent: there is nothing to do at the receiver.
        delete_task(workspace_id=workspace.pk, task_id=tasks[5].pk, cause=cause())
        deliver()
        assert circuit(there) == "open"
        asked = len(here.asked)
        let_pass(there, 100)
        deliver()
    assert len(here.asked) == asked
    assert states(there)[5:] == ["succeeded", "succeeded"]
    assert circuit(there) == "open"
    assert Circuit.objects.get(pk=there.pk).fails == 5


def test_a_replay_probes_a_destination_for_which_nothing_else_waits(workspace: Workspace) -> None:
    with sink(status(500)) as out:
        there = to(workspace, out.url, retry_schedule=[], max_concurrency=1)
        for number in range(5):
            make(workspace, str(number))
        deliver()
        assert (states(there), circuit(there)) == (["dead"] * 5, "open")
        job = walk(replay(there, states=["dead"]))
        assert (job.state, job.reason, job.made) == ("waiting", "circuit_open", 0)
        let_pass(there, 100)
        assert (walk(job).state, job.made) == ("running", 5)
        assert len(lease(worker="w", wanted=9)) == 1  # the probe


def test_replays_that_wait_for_a_paused_destination_cost_the_sweep_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    chosen: dict[str, Any] = {
        "workspace_id": workspace.pk,
        "destination_id": there.pk,
        "cause": cause(),
    }
    make(workspace)
    pause_destination(**chosen)
    jobs = [replay(there, from_seq=1) for _ in range(3)]
    replaying.replay_some()
    steps: list[uuid.UUID] = []

    def step(pk: uuid.UUID) -> bool:
        steps.append(pk)
        return False

    monkeypatch.setattr(replaying, "advance", step)
    replaying.replay_some()
    assert steps == []
    resume_destination(**chosen)
    replaying.replay_some()
    assert set(steps) == {job.pk for job in jobs}


def test_a_sweep_leaves_replays_for_the_next_when_its_time_is_up_and_takes_workspaces_in_turns(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    make(workspace)
    other = factories.workspace()
    elsewhere = to(other, "http://127.0.0.1:9/")
    make(other)
    for _ in range(9):
        replay(there, from_seq=1)
    late = replay(elsewhere, from_seq=1)
    now, steps = [time.monotonic()], list[uuid.UUID]()

    def step(pk: uuid.UUID) -> bool:
        steps.append(pk)
        now[0] += replaying.SLICE * 0.4
        return False

    monkeypatch.setattr(replaying, "advance", step)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    replaying.replay_some()
    assert len(steps) == 3
    assert late.pk in steps[:2]
