"""A worker that is stopped right before it sends, and goes on when others have long sent the same.

The point is forced: everything is ready, and the next thing that the process does is to write.
"""

import os
import signal
from pathlib import Path

import pytest

from tasks_app.actions.task import update_task
from tasks_app.models import Task, Workspace
from tests.support.engine import states, to
from tests.support.factories import cause
from tests.support.matrix import UNDER_WAY, create
from tests.support.sink import sink
from tests.support.threads import until
from tests.support.worker import beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def is_stopped(asleep: Path) -> bool:
    """Tell whether the process whose pid this file holds is (proc_pid_stat(5): state T)."""
    pid = asleep.read_text() if asleep.exists() else ""
    return bool(pid) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def change(workspace: Workspace, task: Task) -> None:
    fields = {"title": "later"}
    update_task(workspace_id=workspace.pk, task_id=task.pk, fields=fields, cause=cause())


def test_a_worker_that_overslept_sends_nothing_after_what_is_later(
    workspace: Workspace, tmp_path: Path
) -> None:
    asleep = tmp_path / "sending"
    with sink() as out, beat(tmp_path):
        there = to(workspace, out.url)
        with worker(tmp_path, name="one", freezes="sending") as first:
            task = create(workspace)
            until(lambda: is_stopped(asleep), "it is about to send")
            os.killpg(first.process.pid, signal.SIGSTOP)
            with worker(tmp_path, name="two"):
                until(lambda: states(there) == ["succeeded"], "it is taken over")
                change(workspace, task)
                until(lambda: states(there) == ["succeeded"] * 2, "both are settled")
            os.killpg(first.process.pid, signal.SIGCONT)
            create(workspace)  # for the sleeper alone, after what it slept over
            until(lambda: states(there) == ["succeeded"] * 3, "it works again")
    assert [came.data["task"]["version"] for came in out.came] == [1, 2, 1]
    assert out.came[0].task == out.came[1].task != out.came[2].task


def test_a_child_that_is_stopped_holds_up_its_worker_for_seconds(
    workspace: Workspace, tmp_path: Path
) -> None:
    """It has the worker's one turn to drain, and there is no other worker."""
    asleep = tmp_path / "sending"
    with sink() as out, beat(tmp_path), worker(tmp_path, name="one", freezes="sending"):
        there = to(workspace, out.url)
        task = create(workspace)
        until(lambda: is_stopped(asleep), "it is about to send")
        create(workspace)
        until(lambda: states(there) == ["succeeded"] * 2, "the other does both", 2 * UNDER_WAY)
        change(workspace, task)
        until(lambda: states(there) == ["succeeded"] * 3, "and goes on", 2 * UNDER_WAY)
        os.kill(int(asleep.read_text()), signal.SIGCONT)
        create(workspace)
        until(lambda: states(there) == ["succeeded"] * 4, "all work again", 2 * UNDER_WAY)
    of_task = [came for came in out.came if came.task == str(task.pk)]
    assert [came.data["task"]["version"] for came in of_task] == [1, 2]
    assert len(out.came) == len({came.id for came in out.came}) == 4
