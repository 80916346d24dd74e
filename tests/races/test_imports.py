"""Imports beside others: the same external id at once, heads and rows that somebody holds."""

import contextlib
import threading
import uuid
from functools import partial

import pytest
from django.db import connection, transaction

from tasks_app.actions.bulk import change_tasks
from tasks_app.actions.bulk_plan import Op, Operation
from tasks_app.actions.task import create_task, update_task
from tasks_app.delivery.rest import Rest
from tasks_app.events.record import lock_heads
from tasks_app.exceptions import Invalid
from tasks_app.exchange import step, walk
from tasks_app.exchange.step import advance
from tasks_app.models import ImportJob, Task, Workspace
from tests.support import factories
from tests.support.factories import cause
from tests.support.imports import begin
from tests.support.matrix import locked
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)
FILE = b"external_id,title\nE,from the file\n"


def counted(of: Workspace, data: bytes = FILE) -> ImportJob:
    """Return an import whose next step takes rows."""
    job = begin(of, data)
    assert advance(job.pk)
    return job


def test_a_task_that_somebody_makes_at_the_same_moment_is_changed_and_not_doubled(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step waits for the other's row, which then is there: it is taken once more."""
    monkeypatch.setattr(step, "PATIENCE", "20000")
    job, pids = counted(workspace), []
    began = threading.Event()

    def take() -> bool:
        pids.append(backend_pid())
        began.set()
        return walk._isolated(job.pk)

    fields = {"external_id": "E", "title": "live"}
    with locked(lambda: create_task(workspace_id=workspace.pk, fields=fields, cause=cause())):
        taking = in_thread(take)
        assert began.wait(DEADLINE)
        until_blocked(pids[0])
    assert taking.result(DEADLINE)
    while advance(job.pk):
        pass
    job.refresh_from_db()
    assert (job.state, job.created, job.updated, job.trouble) == ("done", 0, 1, 0)
    assert Task.objects.get().title == "from the file"


def test_who_holds_a_row_or_the_head_is_waited_for_shortly_and_keeps_up_no_other(
    workspace: Workspace,
) -> None:
    held, free = counted(workspace), counted(factories.workspace())
    with locked(lambda: lock_heads([workspace.pk])):
        walk.import_some()
        free.refresh_from_db()
        held.refresh_from_db()
        assert free.state == "done"
        assert (held.state, held.row, held.trouble) == ("running", 0, 0)
    walk.import_some()
    held.refresh_from_db()
    assert held.state == "done"


def test_two_imports_of_the_same_tasks_do_not_lock_each_other_out(workspace: Workspace) -> None:
    """Both lock rows in the order of their ids, whatever the order of their files."""
    rows = [b"E-%d,%d\n" % (n, n) for n in range(90)]
    for row in rows:
        external_id = row.split(b",")[0].decode()
        fields = {"title": "old", "external_id": external_id}
        create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    head = b"external_id,title\n"
    one = counted(workspace, head + b"".join(rows))
    two = counted(workspace, head + b"".join(reversed(rows)))
    both = [in_thread(partial(to_the_end, job.pk)) for job in (one, two)]
    for thread in both:
        thread.result(DEADLINE * 2)
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.done, two.done) == (90, 90)
    assert one.updated + two.updated == 90
    assert Task.objects.get(external_id="E-7").title == "7"


def test_imports_and_a_bulk_of_new_tasks_in_opposite_orders_all_end(workspace: Workspace) -> None:
    """An import takes external ids in their order, and waits a quarter of a second at most."""
    names, head = [f"N-{n:02}" for n in range(90)], b"external_id,title\n"
    orders = (names, names[::-1])
    files = [head + b"".join(b"%s,t\n" % name.encode() for name in one) for one in orders]
    jobs = [counted(workspace, data) for data in files]
    operations = [
        Operation(op=Op.CREATE, fields={"external_id": name, "title": "t"}) for name in names[::-1]
    ]
    act = partial(change_tasks, workspace_id=workspace.pk, operations=operations, cause=cause())
    importing = [in_thread(partial(to_the_end, job.pk)) for job in jobs]
    with contextlib.suppress(Invalid):  # an import was there before it
        in_thread(act).result(DEADLINE * 2)
    for thread in importing:
        thread.result(DEADLINE * 2)
    assert list(Task.objects.order_by("external_id").values_list("external_id", flat=True)) == names


def test_whom_an_import_would_wait_for_in_a_circle_goes_on(workspace: Workspace) -> None:
    """Forced: as a bulk that has taken the second name and waits for the first."""
    job = counted(workspace, b"external_id,title\nA,a\nB,b\n")
    held, go, pids = threading.Event(), threading.Event(), list[int]()

    def other() -> None:
        with transaction.atomic():
            create_task(workspace_id=workspace.pk, fields=named("B"), cause=cause())
            held.set()
            assert go.wait(DEADLINE)
            create_task(workspace_id=workspace.pk, fields=named("A"), cause=cause())

    writing = in_thread(other)
    assert held.wait(DEADLINE)

    def take() -> bool:
        pids.append(backend_pid())
        return walk._isolated(job.pk)

    taking = in_thread(take)
    until(lambda: bool(pids), "it has begun")
    until_blocked(pids[0])
    go.set()
    writing.result(DEADLINE)
    taking.result(DEADLINE)
    to_the_end(job.pk)
    job.refresh_from_db()
    assert (job.state, job.updated, job.trouble) == ("done", 2, 0)


def named(name: str) -> dict[str, str]:
    return {"external_id": name, "title": "live"}


def to_the_end(job_id: uuid.UUID) -> None:
    while ImportJob.objects.get(pk=job_id).state == "running":
        walk._isolated(job_id)


def test_a_live_change_of_a_task_waits_for_a_step_at_most_and_is_not_lost(
    workspace: Workspace,
) -> None:
    fields = {"title": "old", "external_id": "E", "priority": "low"}
    task = create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    job = counted(workspace)
    with transaction.atomic():
        update_task(
            workspace_id=workspace.pk,
            task_id=task.pk,
            fields={"priority": "urgent"},
            cause=cause(),
        )
        assert not in_thread(lambda: walk._isolated(job.pk)).result(DEADLINE)
    to_the_end(job.pk)
    task.refresh_from_db()
    assert (task.title, task.priority, task.version) == ("from the file", "urgent", 3)


def test_a_step_that_always_fails_ends_the_import_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = counted(workspace), counted(factories.workspace())
    real = advance

    def broken(job_id: uuid.UUID) -> bool:
        if job_id == job.pk:
            raise RuntimeError("a fault of ours")
        return real(job_id)

    monkeypatch.setattr(walk, "advance", broken)
    for _ in range(walk.TROUBLES + 1):
        walk.import_some()
    job.refresh_from_db()
    other.refresh_from_db()
    assert (job.state, job.reason, other.state) == ("failed", "internal", "done")
    assert factories.log(workspace)[-1].data["import"]["state"] == "failed"


class Killed(BaseException):
    """The end of a process: nothing after it runs."""


@pytest.mark.parametrize("lost", [Killed, "connection"])
def test_a_row_that_ends_every_process_or_connection_ends_the_import_at_last(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, lost: type[Killed] | str
) -> None:
    """As the kernel ends what takes too much memory, or PostgreSQL what sleeps in mid-step."""
    job, other = counted(workspace), counted(factories.workspace())

    def die(*_: object) -> None:
        if lost is Killed:
            raise Killed
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(step, "apply_rows", die)
    for _ in range(walk.TROUBLES):
        job.refresh_from_db()
        assert job.state == "running"
        with contextlib.suppress(Killed):
            in_thread(partial(walk._isolated, job.pk)).result(DEADLINE)
    monkeypatch.undo()
    walk.import_some()
    job.refresh_from_db()
    other.refresh_from_db()
    assert (job.state, job.reason, job.row) == ("failed", "internal", 0)
    assert other.state == "done"
    assert factories.log(workspace)[-1].data["import"]["state"] == "failed"


def test_a_step_that_ends_takes_back_what_others_before_it_did_not(workspace: Workspace) -> None:
    job = counted(workspace)
    ImportJob.objects.filter(pk=job.pk).update(trouble=walk.TROUBLES - 1)
    with locked(lambda: lock_heads([workspace.pk])):
        for _ in range(3):
            walk.import_some()  # held up: nothing of its own went wrong
    to_the_end(job.pk)
    job.refresh_from_db()
    assert (job.state, job.created, job.trouble) == ("done", 1, 0)


def test_bells_that_were_rung_during_a_long_slice_pass() -> None:
    rest = Rest(60)
    assert rest.is_over()
    fresh = Rest(0)
    assert fresh.is_over()
    assert fresh.is_over()
    lasting = Rest(60)
    lasting.begin()
    assert not lasting.is_over()
