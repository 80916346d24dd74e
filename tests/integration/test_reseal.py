"""Every secret moves to the first key: while workers run, and though it is killed half-way."""

import subprocess
import sys
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from tasks_app.actions.destination import rotate_secret
from tasks_app.actions.reseal import reseal
from tasks_app.actions.task import create_task
from tasks_app.delivery.approach import access_of, signing_with
from tasks_app.models import Delivery, Destination, Workspace
from tasks_app.models.sealed import PLACES
from tests.support.authority import Authority
from tests.support.engine import deliver, to
from tests.support.factories import cause
from tests.support.key_rings import keys, new_key
from tests.support.sink import held, sink
from tests.support.threads import backend_pid, in_thread, until, until_blocked
from tests.support.worker import CHECKOUT, environment

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT = Authority().issue("ours")
FULL: dict[str, Any] = {
    "auth": {"type": "bearer", "token": "t0ken"},
    "headers": {"X-Tenant": "acme"},
    "tls": {"certificate": CLIENT.certificate, "key": CLIENT.key, "ca": None},
    "signature": "both",
}


def full(workspace: Workspace, name: str, url: str = "http://127.0.0.1:9/") -> Destination:
    """Return a destination with a value in every sealed column."""
    one = to(workspace, url, name=name, **FULL)
    rotate_secret(workspace_id=workspace.pk, destination_id=one.pk, cause=cause())
    return Destination.objects.get(pk=one.pk)


def opened(one: Destination) -> tuple[Any, ...]:
    access = access_of(one)
    return signing_with(one), access.headers, access.credentials, access.certificates


def sealed_by(name: str) -> list[bool]:
    """Tell of every value that is kept whether that key sealed it."""
    rows = Destination.objects.order_by("pk").values_list(*PLACES)
    return [value.startswith(f"v1:{name}:") for row in rows for value in row]


def test_every_value_moves_to_the_first_key_and_opens_as_before(
    workspace: Workspace, settings: Settings
) -> None:
    made = [full(workspace, name) for name in "abcde"]
    before = [opened(one) for one in made]
    new = new_key("new")
    with keys(settings, new, *settings.ENCRYPTION_KEYS):
        done = reseal(batch=2)
        assert (done.values, done.unreadable) == (5 * len(PLACES), [])
        assert reseal().values == 0
    assert all(sealed_by("new"))
    with keys(settings, new):  # the old one is retired
        assert [opened(one) for one in Destination.objects.order_by("pk")] == before


def test_what_does_not_open_is_named_and_left_and_the_rest_is_moved(
    workspace: Workspace, settings: Settings
) -> None:
    broken, good = full(workspace, "broken"), full(workspace, "good")
    Destination.objects.filter(pk=broken.pk).update(sealed_auth=good.sealed_auth)
    with keys(settings, new_key("new"), *settings.ENCRYPTION_KEYS):
        with pytest.raises(CommandError, match=str(broken.pk)):
            call_command("rotate_encryption_key", verbosity=0)
        assert sealed_by("new") == [False] * len(PLACES) + [True] * len(PLACES)


def test_a_run_that_is_killed_half_way_is_finished_by_the_next(
    workspace: Workspace, settings: Settings
) -> None:
    """The third destination is locked, so the run is known to stand before it when it dies."""
    made = [full(workspace, name) for name in "abcd"]
    before = [opened(one) for one in made]
    new = new_key("new")
    ring = ",".join([new, *settings.ENCRYPTION_KEYS])
    command = [sys.executable, "manage.py", "rotate_encryption_key", "--batch", "1"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # it takes its time
        Destination.objects.select_for_update().get(pk=made[2].pk)
        run = subprocess.Popen(
            command, cwd=CHECKOUT, env={**environment(), "ENCRYPTION_KEYS": ring}
        )
        try:
            until(lambda: sum(_seen(new)) == 2 * len(PLACES), "two destinations are done")
        finally:
            run.kill()
            run.wait()
    with keys(settings, new, *settings.ENCRYPTION_KEYS):
        assert [opened(one) for one in Destination.objects.order_by("pk")] == before
        assert reseal().values == 2 * len(PLACES)
        assert [opened(one) for one in Destination.objects.order_by("pk")] == before
    assert all(sealed_by("new"))


def _seen(new: str) -> list[bool]:
    return in_thread(lambda: sealed_by(new.partition(":")[0])).result()


def test_workers_go_on_sending_while_it_runs(workspace: Workspace, settings: Settings) -> None:
    gate = threading.Event()
    with sink(held(gate)) as out:
        for name in "ab":
            to(workspace, out.url, name=name, auth=FULL["auth"])
        for _ in range(2):
            create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())
        with keys(settings, new_key("new"), *settings.ENCRYPTION_KEYS):
            drained = in_thread(deliver)
            out.wait_for(2)  # leased with the old values; more wait for their turn
            assert reseal(batch=1).values == 2 * 2
            gate.set()
            drained.result(30)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}
    assert {came.headers["authorization"] for came in out.came} == {"Bearer t0ken"}


def test_a_rotation_that_is_under_way_is_waited_for_and_not_undone(
    workspace: Workspace, settings: Settings
) -> None:
    one = full(workspace, "one")
    pids: list[int] = []
    with keys(settings, new_key("new"), *settings.ENCRYPTION_KEYS):
        with transaction.atomic():
            _, secret = rotate_secret(
                workspace_id=workspace.pk, destination_id=one.pk, cause=cause()
            )

            def run() -> int:
                pids.append(backend_pid())
                return reseal().values

            resealing = in_thread(run)
            until(lambda: bool(pids), "the other transaction has begun")
            until_blocked(pids[0])
        assert resealing.result(30) > 0
        assert signing_with(Destination.objects.get())[0] == secret
