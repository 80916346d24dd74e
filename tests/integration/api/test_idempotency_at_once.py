"""One key, many requests at the same time, against the real api: one row, one first answer."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import connection

from tasks_app.actions.idempotency import Answer, Claim, answer_once
from tasks_app.events.record import lock_heads
from tasks_app.models import Task, Workspace
from tests.support import factories
from tests.support.api_server import api_server
from tests.support.matrix import locked, owners_key, waits_for_a_lock
from tests.support.threads import DEADLINE, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)

TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Came:
    """One answer."""

    status: int
    body: bytes
    replayed: bool


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return factories.workspace()


@pytest.fixture(scope="module")
def port(django_db_setup: None) -> Iterator[int]:
    with api_server(threads=8) as running:
        yield running


def post(port: int, key: str, name: str, body: object) -> Came:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": name,
    }
    try:
        client.request("POST", "/api/v1/tasks/", json.dumps(body), headers)
        answer = client.getresponse()
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return Came(answer.status, answer.read(), replayed)
    finally:
        client.close()


def test_of_fifty_at_once_one_writes_and_the_others_are_told_so(
    workspace: Workspace, port: int
) -> None:
    key = owners_key(workspace)
    ready = threading.Barrier(TOGETHER)

    def ask() -> Came:
        ready.wait(DEADLINE)
        return post(port, key, "one", {"title": "t"})

    came = [future.result(60) for future in [in_thread(ask) for _ in range(TOGETHER)]]
    assert Task.objects.count() == len(factories.log(workspace)) == 1
    kinds = Counter((answer.status, answer.replayed) for answer in came)
    assert kinds[201, False] == 1, kinds
    assert kinds.keys() <= {(201, False), (201, True), (409, False)}
    assert len({answer.body for answer in came if answer.status == 201}) == 1
    in_use = {json.loads(answer.body)["type"] for answer in came if answer.status == 409}
    assert in_use <= {"/problems/idempotency_key_in_use"}
    assert post(port, key, "one", {"title": "t"}).replayed


def test_while_the_first_runs_a_repeat_is_told_at_once_and_other_keys_go_on(
    workspace: Workspace, port: int
) -> None:
    """The first waits for its workspace's head; nobody else of it is kept from an answer."""
    key, elsewhere = owners_key(workspace), owners_key(factories.workspace())
    with locked(lambda: lock_heads([workspace.pk])):
        first = in_thread(lambda: post(port, key, "one", {"title": "t"}))
        until(lambda: waits_for_a_lock("api"), "the first is in its transaction")
        for body in ({"title": "t"}, {"title": "other"}):
            repeat = post(port, key, "one", body)
            assert (repeat.status, repeat.replayed) == (409, False)
        assert post(port, elsewhere, "one", {"title": "t"}).status == 201
        assert not first.done()
    assert first.result(DEADLINE).status == 201
    assert post(port, key, "one", {"title": "t"}).body == first.result().body


def test_repeats_of_what_is_done_are_answered_however_many_ask_at_once(
    workspace: Workspace,
) -> None:
    """One repeat holds the key's lock, and another comes: nothing runs that it had to wait for."""
    claim = Claim(workspace_id=workspace.pk, owner="user:1", key="k", fingerprint=b"f" * 32)
    done = Answer(status=201, headers={}, body=b"{}")
    assert answer_once(claim=claim, work=lambda: done) is None

    def lock() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [claim.lock])

    with locked(lock):
        assert answer_once(claim=claim, work=lambda: done) == done
