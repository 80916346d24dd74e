"""A replay under kill -9 of everything that walks it, and one that is long."""

import os
import signal
import time
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from django.db import connection

from tasks_app.actions.task import create_task, update_task
from tasks_app.delivery.replaying import ROOM, advance
from tasks_app.models import Delivery, Replay, Task, Workspace
from tests.support.backlog import backlog
from tests.support.engine import to
from tests.support.factories import cause, log
from tests.support.replays import replay
from tests.support.sink import Sink, sink
from tests.support.threads import until
from tests.support.worker import Running, beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
TASKS, VERSIONS = 40, 5
END_ALL = """
    UPDATE delivery SET state = 'succeeded', ended_at = statement_timestamp()
    WHERE state IN ('pending', 'waiting')
"""


def end_all() -> int:
    """Let all that is under way have succeeded, without a request each."""
    with connection.cursor() as cursor:
        cursor.execute(END_ALL)
        return int(cursor.rowcount)


def write(workspace: Workspace) -> None:
    for number in range(TASKS):
        task = create_task(
            workspace_id=workspace.pk, fields={"title": f"{number}.0"}, cause=cause()
        )
        for version in range(1, VERSIONS):
            change(task, f"{number}.{version}")


def change(task: Task, title: str) -> None:
    update_task(
        workspace_id=task.workspace_id, task_id=task.pk, fields={"title": title}, cause=cause()
    )


def kill(one: Running) -> None:
    """Kill the workers themselves, not the parent that starts them anew."""
    for pid in one.children:
        os.kill(pid, signal.SIGKILL)


def check_order_per_task(out: Sink) -> None:
    """Within a task the replayed ones come in the order of their events, the change after them."""
    per_task: dict[str, list[int]] = defaultdict(list)
    for came in out.came:
        per_task[came.task].append(came.sequence)
    for sequences in per_task.values():
        assert sequences == sorted(sequences)


def test_workers_killed_in_mid_replay_make_nothing_twice(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Every 50th request costs a worker's life, while new changes arrive as well."""
    with sink() as out, beat(tmp_path), worker(tmp_path) as running:
        there = to(workspace, out.url, max_concurrency=8)
        write(workspace)
        end_all()
        job = replay(there, rate=150)
        tasks, kills = list(Task.objects.order_by("id")), 0
        for number in range(50, TASKS * VERSIONS, 50):
            out.wait_for(number)
            kill(running)
            kills += 1
            change(tasks[-kills], "live")
        until(lambda: Replay.objects.get().state == "done", "the replay has ended", 90)
        until(lambda: not Delivery.objects.unfinished().exists(), "all has ended")
        job.refresh_from_db()
        assert (job.made, job.ended, job.skipped) == (TASKS * VERSIONS, TASKS * VERSIONS, 0)
        rows = Delivery.objects.filter(replay=str(job.pk))
        assert Counter(rows.values_list("event_seq", flat=True)).most_common(1)[0][1] == 1
        assert rows.count() == job.made
    assert kills == 3
    replayed = [came for came in out.came if came.headers.get("webhook-replay")]
    assert {came.sequence for came in replayed} == set(rows.values_list("sequence", flat=True))
    # At most what was in flight when its worker died came twice, with one id.
    assert len(out.came) - len({came.sequence for came in out.came}) <= kills * 8
    check_order_per_task(out)
    told = [e.data["replay"] for e in log(workspace) if e.type == "replay_progress"]
    assert (told[0]["made"], told[-1]["state"]) == (0, "done")
    assert [t["made"] for t in told] == sorted(t["made"] for t in told)
    began, ended = job.created_at, job.ended_at
    assert ended is not None
    assert len(told) <= (ended - began).total_seconds() + 3


def round_of(job: Replay) -> int:
    """Fill the replay's room and let all of it have ended; return how many that was."""
    while advance(job.pk):
        assert Delivery.objects.unfinished().count() < ROOM + 500
    return end_all()


def peak_of_a_round(job: Replay) -> int:
    """Return the most bytes that Python held in one round."""
    tracemalloc.start()
    try:
        assert round_of(job) == ROOM
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_twenty_thousand_events_are_replayed_in_flat_memory_without_a_cap(
    workspace: Workspace,
) -> None:
    there = to(workspace, "http://127.0.0.1:9/")
    backlog(there, 20_000, state="pending")
    end_all()
    job = replay(there)
    assert job.total == 20_000
    ended = round_of(job)  # what is built once is not the replay's
    first = peak_of_a_round(job)
    while ended < 16_000:
        ended += round_of(job)
    last = peak_of_a_round(job)
    assert ended + 2 * ROOM == 20_000
    advance(job.pk)
    job.refresh_from_db()
    assert (job.state, job.made, job.ended) == ("done", 20_000, 20_000)
    assert last < first + 2**20  # the tenth round takes no more than the second
    assert Delivery.objects.filter(replay=str(job.pk)).distinct("event_seq").count() == 20_000


def test_a_rate_is_kept_by_two_workers_that_could_do_much_more(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Counted by the receiver: in no second after the first more than the rate, but for one."""
    with sink() as out:
        there = to(workspace, out.url, max_concurrency=50)
        backlog(there, 120, state="pending")
        end_all()
        job = replay(there, rate=20)
        began = time.monotonic()
        with beat(tmp_path), worker(tmp_path, name="one"), worker(tmp_path, name="two"):
            until(lambda: Replay.objects.get().state == "done", "the replay has ended", 60)
        assert len(out.came) == 120
        assert time.monotonic() - began >= 119 / 20 - 2.1  # the first slots were at once
    due = list(
        Delivery.objects.filter(replay=str(job.pk))
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
    )
    for first, after in zip(due, due[20:], strict=False):
        assert (after - first).total_seconds() >= 1 - 1e-4
    leased = Delivery.objects.filter(replay=str(job.pk)).values_list(
        "trying_since", "next_attempt_at"
    )
    assert all(since is not None and since >= at for since, at in leased)
