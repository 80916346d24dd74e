"""What the kill matrix needs: locks that are held, requests in threads, another worker after it."""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tasks_app.actions.task import create_task
from tasks_app.models import Destination, ProcessBeat, Task, Workspace
from tests.support.callers import NONE, api_key
from tests.support.engine import states
from tests.support.factories import cause
from tests.support.sink import Came, Sink
from tests.support.threads import DEADLINE, in_thread, until
from tests.support.worker import Running, worker

UNDER_WAY = 15.0  # seconds after a kill within which its work is under way again (contract §7)


def create(workspace: Workspace) -> Task:
    """Create a task."""
    return create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())


@contextlib.contextmanager
def locked(lock: Callable[[], object]) -> Iterator[None]:
    """Hold a lock in a transaction of another connection for as long as the block runs."""
    held_now, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock()
            held_now.set()
            assert let_go.wait(DEADLINE * 3)

    holding = in_thread(hold)
    assert held_now.wait(DEADLINE)
    try:
        yield
    finally:
        let_go.set()
        holding.result(DEADLINE)


def waits_for_a_lock(role: str) -> bool:
    """Tell whether a process of this role waits for another's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
            " AND datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
            [role],
        )
        return cursor.fetchone() is not None


def has_left(role: str) -> bool:
    """Tell whether PostgreSQL has noticed that all processes of this role are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
            " AND datname = current_database()",
            [role],
        )
        return cursor.fetchone() is None


def silence_passes() -> None:
    """Let the dead have been silent for as long as it takes; tests/acceptance/test_worker.py waits.

    For a moment when no worker lives.
    """
    silence = timedelta(seconds=settings.DELIVERY_WORKER_SILENCE)
    ProcessBeat.objects.update(seen_at=F("seen_at") - silence)


def is_taken_over(out: Sink, there: Destination, *, requests: int, folder: Path) -> list[Came]:
    """Let another worker do what is left; return all that came. It has 15 s once it lives."""
    silence_passes()
    with worker(folder, name="two") as second:
        until(lambda: beats(second), "the other worker lives")
        until(lambda: len(out.came) >= requests, "it is sent again", UNDER_WAY)
        until(lambda: set(states(there)) == {"succeeded"}, "it is settled", UNDER_WAY)
    assert len(out.came) == requests
    assert len({came.id for came in out.came}) == 1
    return out.came


def beats(running: Running) -> bool:
    """Tell whether both children of a worker show signs of life."""
    names = ProcessBeat.objects.filter(kind="worker").values_list("name", flat=True)
    pids = {name.split("-")[-2] for name in names}
    return len(running.children) > 1 and {str(pid) for pid in running.children} <= pids


def asked(
    port: int, path: str, key: str, body: object = None, more: Mapping[str, str] = NONE
) -> "Future[int]":
    """POST in a thread; its result is the status, 0 where the connection broke."""

    def ask() -> int:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **more}
        try:
            client.request("POST", path, json.dumps(body or {}), headers)
            return client.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            client.close()

    return in_thread(ask)


def owners_key(workspace: Workspace) -> str:
    """Return a new key of the workspace's owner."""
    return api_key(workspace.memberships.get(role="owner"))[0]


def verifies(secret: str, came: Came) -> bool:
    """Tell whether a receiver with this secret would take it."""
    try:
        Webhook(secret).verify(came.body, came.headers)
    except WebhookVerificationError:
        return False
    return True
