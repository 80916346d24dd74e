"""Celery's real worker and beat, killed, stopped, without a broker: all arrives, in order."""

import os
import signal
import threading
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest
from django.db import connection

from tasks_app.actions.task import create_task, update_task
from tasks_app.models import Delivery, ProcessBeat, Workspace
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.servers import own_valkey
from tests.support.sink import Sink, held, sink
from tests.support.threads import until
from tests.support.worker import beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
TASKS, CHANGES = 12, 3


def write(workspace: Workspace) -> None:
    """Create tasks and change each a few times."""
    for number in range(TASKS):
        fields = {"title": f"{number}.0"}
        task = create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
        for turn in range(1, CHANGES):
            update_task(
                workspace_id=workspace.pk,
                task_id=task.pk,
                fields={"title": f"{number}.{turn}"},
                cause=cause(),
            )


def all_ended(workspace: Workspace) -> bool:
    """Tell whether nothing is under way."""
    return not Delivery.objects.in_workspace(workspace.pk).unfinished().exists()


def check_everything_came_in_order(out: Sink, workspace: Workspace) -> None:
    """Each delivery came with its id; a second request for one only right after the first."""
    ids = {f"msg_{pk.hex}" for pk in Delivery.objects.values_list("message_id", flat=True)}
    assert {came.id for came in out.came} == ids
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}
    per_task: dict[str, list[int]] = defaultdict(list)
    for came in out.came:
        per_task[came.task].append(came.sequence)
    assert len(per_task) == TASKS
    for sequences in per_task.values():
        assert sequences == sorted(sequences)


@pytest.mark.parametrize("victim", ["child", "parent", "group"])
def test_a_worker_killed_in_mid_send_loses_nothing(
    workspace: Workspace, tmp_path: Path, victim: str
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out, beat(tmp_path), worker(tmp_path, name="one") as first:
        to(workspace, out.url, max_concurrency=5)
        write(workspace)
        out.wait_for(5)
        _kill(victim, first.process.pid, first.children)
        gate.set()
        with worker(tmp_path, name="two"):
            until(lambda: all_ended(workspace), "everything has ended")
        check_everything_came_in_order(out, workspace)
    doubled = len(out.came) - len({came.id for came in out.came})
    assert doubled <= 5


def _kill(victim: str, parent: int, children: list[int]) -> None:
    if victim == "child":
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    elif victim == "parent":
        os.kill(parent, signal.SIGKILL)
    else:
        os.killpg(parent, signal.SIGKILL)


def test_two_workers_and_two_beats_send_everything_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    with sink() as out, beat(tmp_path, name="b1"), beat(tmp_path, name="b2"):
        to(workspace, out.url, max_concurrency=5)
        with worker(tmp_path, name="one"), worker(tmp_path, name="two"):
            write(workspace)
            until(lambda: all_ended(workspace), "everything has ended")
        check_everything_came_in_order(out, workspace)
    assert len(out.came) == TASKS * CHANGES
    assert out.most <= 5


def test_sigterm_finishes_what_is_sent_and_begins_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out, beat(tmp_path), worker(tmp_path) as running:
        there = to(workspace, out.url, max_concurrency=2)
        write(workspace)
        out.wait_for(2)
        threading.Timer(1.5, gate.set).start()
        assert running.terminate(20) == 0
        assert states(there).count("succeeded") == 2
        assert states(there).count("leased") == 0
        assert len(out.came) == 2
    assert not ProcessBeat.objects.filter(kind="worker").exists()


def test_an_idle_worker_ends_when_it_is_told_to(workspace: Workspace, tmp_path: Path) -> None:
    with worker(tmp_path) as running:
        until(lambda: ProcessBeat.objects.filter(kind="worker").count() == 2, "both children beat")
        assert running.terminate(20) == 0


def test_a_hanging_destination_holds_up_neither_the_others_nor_the_sweep(
    workspace: Workspace, tmp_path: Path
) -> None:
    gate = threading.Event()
    with sink(held(gate)) as hangs, sink() as out, beat(tmp_path), worker(tmp_path):
        to(workspace, hangs.url, name="hangs")
        to(workspace, out.url, name="works")
        write(workspace)
        hangs.wait_for(10)
        out.wait_for(TASKS * CHANGES)
        for _ in range(3):
            swept = _last_sweep()
            write_one(workspace)
            until(partial(_has_swept_since, swept), "the sweep runs")
        out.wait_for(TASKS * CHANGES + 3)
        assert hangs.most == 10
        gate.set()
        until(lambda: all_ended(workspace), "everything has ended")


def write_one(workspace: Workspace) -> None:
    """Create one more task."""
    create_task(workspace_id=workspace.pk, fields={"title": "more"}, cause=cause())


def _has_swept_since(moment: str) -> bool:
    return _last_sweep() > moment


def _last_sweep() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seen_at FROM process_beat WHERE kind = 'beat'")
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def test_everything_goes_out_once_the_broker_is_back(workspace: Workspace, tmp_path: Path) -> None:
    with own_valkey() as valkey, sink() as out:
        to(workspace, out.url)
        with beat(tmp_path, redis_url=valkey.url), worker(tmp_path, redis_url=valkey.url):
            write_one(workspace)
            out.wait_for(1)
            valkey.server.kill()
            for _ in range(5):
                write_one(workspace)
            valkey.server.start()
            out.wait_for(6)
            until(lambda: all_ended(workspace), "everything has ended")
    assert len({came.id for came in out.came}) == len(out.came) == 6
