"""A worker killed with -9 between a create's answer and its settling: no second twin, none lost."""

import asyncio
import threading
from pathlib import Path

import pytest
from django.db import connection, transaction

from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.events.record import lock_heads
from tasks_app.models import Delivery, Twin, Workspace
from tests.support.engine import to
from tests.support.factories import cause
from tests.support.matrix import silence_passes
from tests.support.receiver import Exchange
from tests.support.rest_server import Reply, Trouble, rest_server
from tests.support.threads import until
from tests.support.worker import beat, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def held_once(gate: threading.Event) -> Trouble:
    """Return a trouble that lets the first answer wait for the gate."""
    waiting = [True]

    async def wait(_exchange: Exchange, _reply: Reply) -> bool:
        is_first, waiting[0] = waiting[0], False
        while is_first and not gate.is_set():
            await asyncio.sleep(0.005)
        return True

    return wait


def somebody_waits_for_us() -> bool:
    """Tell whether another backend waits for a lock that this connection holds."""
    with connection.cursor() as cursor:
        # Not pg_stat_activity: within a transaction that is a snapshot and never changes.
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


def all_ended() -> bool:
    """Tell whether nothing is under way."""
    return not Delivery.objects.unfinished().exists()


@pytest.mark.parametrize("then", ["nothing", "change", "delete"])
def test_worker_killed_after_the_answer_to_a_create_makes_no_second_twin(
    workspace: Workspace, tmp_path: Path, then: str
) -> None:
    gate = threading.Event()
    with rest_server(trouble=held_once(gate)) as there, beat(tmp_path):
        to(workspace, there.url, kind="rest", method="PUT", twin_id_path="id")
        task = create_task(workspace_id=workspace.pk, fields={"title": "a"}, cause=cause())
        with worker(tmp_path, name="one") as first:
            there.wait_for(1)
            with transaction.atomic():
                lock_heads([workspace.pk])
                gate.set()
                until(somebody_waits_for_us, "the worker settles")
                first.kill()
        assert there.created == 1
        assert Twin.objects.get().remote_id == ""
        if then == "change":
            update_task(
                workspace_id=workspace.pk, task_id=task.pk, fields={"title": "b"}, cause=cause()
            )
        elif then == "delete":
            delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
        silence_passes()
        with worker(tmp_path, name="two"):
            until(all_ended, "everything has ended")
    assert there.created == 1
    assert len({one.key for one in there.asked if one.method == "POST"}) == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}
    left = {"nothing": ["a"], "change": ["b"], "delete": []}[then]
    assert [thing["title"] for thing in there.things.values()] == left
    assert [twin.remote_id for twin in Twin.objects.all()] == ["101"][: len(left)]
