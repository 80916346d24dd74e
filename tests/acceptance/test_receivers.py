"""The receivers that the documents offer take what the real engine sends: once, and only ours."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks_app.actions.destination import rotate_secret
from tasks_app.actions.task import create_task, update_task
from tasks_app.models import Attempt, Delivery, Destination, Task, Workspace
from tasks_app.security.signing import new_key_pair, new_secret, sign
from tests.support.engine import SECRET, deliver, make_due, to
from tests.support.examples import Example, running_example
from tests.support.factories import cause
from tests.support.receiver import Exchange, Request
from tests.support.sink import Came, sink

pytestmark = pytest.mark.django_db(transaction=True)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "receiving.md"


@pytest.fixture(params=["receive_django", "receive_fastapi"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    with running_example(request.param, tmp_path, SECRET) as running:
        yield running


def made(workspace: Workspace) -> Task:
    task = create_task(workspace_id=workspace.pk, fields={"title": "one"}, cause=cause())
    update_task(workspace_id=workspace.pk, task_id=task.pk, fields={"title": "two"}, cause=cause())
    return task


def again() -> None:
    """Let every delivery be sent once more, as after an answer that nobody heard."""
    Delivery.objects.update(state="pending", ended_at=None)
    make_due()
    deliver()


def test_an_example_takes_what_is_ours_and_works_once(
    workspace: Workspace, receiver: Example
) -> None:
    to(workspace, receiver.url)
    task = made(workspace)
    deliver()
    seen = receiver.rows(f"SELECT id FROM {receiver.table('seen')}")
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(seen) == 2
    again()
    assert Attempt.objects.filter(status_code=204).count() == 4
    [(title, version)] = receiver.rows(f"SELECT title, version FROM {receiver.table('twin')}")
    assert (title, version) == ("two", 2)
    assert Task.objects.get(pk=task.pk).version == version


def test_an_example_keeps_the_newest_state_when_an_older_one_comes_late(
    workspace: Workspace, receiver: Example
) -> None:
    """As after a retry by hand: the first event arrives after the second."""
    to(workspace, receiver.url)
    made(workspace)
    held = Delivery.objects.order_by("sequence")[0]
    Delivery.objects.filter(pk=held.pk).update(state="dead", ended_at=held.created_at)
    Delivery.objects.exclude(pk=held.pk).update(state="pending")
    deliver()
    Delivery.objects.filter(pk=held.pk).update(state="pending", ended_at=None, replay="retry")
    deliver()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}
    assert receiver.rows(f"SELECT title, version FROM {receiver.table('twin')}") == [("two", 2)]


def test_an_example_refuses_what_is_not_ours(workspace: Workspace, receiver: Example) -> None:
    one = to(workspace, receiver.url)
    for _ in range(2):  # the second forgets the secret that the receiver has
        rotate_secret(workspace_id=workspace.pk, destination_id=one.pk, cause=cause())
    made(workspace)
    deliver()
    assert set(Attempt.objects.values_list("status_code", flat=True)) == {401}
    body = b'{"data": {}}'
    now = int(time.time())
    for headers in (
        {},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": signed(body, now, secret=new_secret())},
        {"webhook-signature": signed(body, now, secret=new_key_pair().private)},
        {
            "webhook-signature": signed(body, now - 400),
            "webhook-timestamp": str(now - 400),
        },
    ):
        named = {"webhook-id": "msg_1", "webhook-timestamp": str(now), **headers}
        assert httpx.post(receiver.url, content=body, headers=named).status_code == 401
    good = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signed(body, now),
    }
    assert httpx.post(receiver.url, content=body, headers=good).status_code == 204


def signed(body: bytes, at: int, *, secret: str = SECRET) -> str:
    return sign(secrets=[secret], message_id="msg_1", timestamp=at, body=body)


@contextlib.contextmanager
def kept() -> Iterator[tuple[str, list[Request]]]:
    requests: list[Request] = []

    async def keep(_came: Came, exchange: Exchange) -> None:
        requests.append(exchange.request)
        await exchange.answer()

    with sink(keep) as out:
        yield out.url, requests


def test_the_lines_for_v1a_in_the_document_take_ours_and_nothing_else(
    workspace: Workspace,
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    [code] = [block for block in blocks if "def is_ours" in block]
    shown: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), shown)
    is_ours = shown["is_ours"]
    with kept() as (url, requests):
        one = to(workspace, url, signature="both")
        rotate_secret(workspace_id=workspace.pk, destination_id=one.pk, cause=cause())
        made(workspace)
        deliver()
    now = Destination.objects.get()
    request = requests[0]
    for key in (now.public_key, now.old_public_key):
        assert is_ours(key, request.headers, request.body)
        assert not is_ours(key, request.headers, request.body + b" ")
        assert not is_ours(key, request.headers | {"webhook-id": "msg_2"}, request.body)
        assert not is_ours(key, request.headers | {"webhook-timestamp": "1"}, request.body)
        assert not is_ours(key, request.headers | {"webhook-signature": "v1a,!"}, request.body)
        assert not is_ours(key, {}, request.body)
    assert not is_ours(new_key_pair().public, request.headers, request.body)


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the official JavaScript package, locked by its hashes."""
    if not (shutil.which("node") and shutil.which("npm")):
        assert not os.environ.get("CI"), "CI has Node and npm"
        pytest.skip("Node and npm are not here: nothing to verify in JavaScript with")
    folder = tmp_path_factory.mktemp("javascript")
    for file in (Path(__file__).parent / "javascript").iterdir():
        shutil.copy(file, folder)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, capture_output=True, timeout=90)
    return folder


def test_the_official_javascript_package_verifies_what_we_send(
    workspace: Workspace, node_modules: Path
) -> None:
    with kept() as (url, requests):
        one = to(workspace, url, signature="both")
        _, new = rotate_secret(workspace_id=workspace.pk, destination_id=one.pk, cause=cause())
        create_task(workspace_id=workspace.pk, fields={"title": "Ünï → 🎉"}, cause=cause())
        deliver()
    [request] = requests
    body = request.body.decode()
    given = [
        {"secret": secret, "headers": request.headers, "body": said}
        for secret in (new, SECRET, new_secret())
        for said in (body, body + " ")
    ]
    run = subprocess.run(
        ["node", "verify.mjs"],
        cwd=node_modules,
        input=json.dumps(given).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    verdicts = json.loads(run.stdout)
    assert [one["ok"] for one in verdicts] == [True, False, True, False, False, False]
    assert verdicts[0]["title"] == "Ünï → 🎉"
