"""The sandbox receiver as `manage.py sandbox` runs it: each endpoint, signatures and the list."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.management.commands.sandbox import Command
from config.sandbox.app import Sandbox
from tasks_app.connectors.base import Door, Envelope
from tasks_app.connectors.registry import connector_for
from tasks_app.security.signing import BadSecret, new_secret, sign
from tests.support.receiver import closed_port

ROOT = Path(__file__).parents[2]
SECRET = new_secret()


@pytest.fixture(scope="module")
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with ExitStack() as stack:
        port = closed_port()
        environment = {**os.environ, "SANDBOX_PORT": str(port), "SANDBOX_SECRETS": SECRET}
        running = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "manage.py", "sandbox"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        stack.callback(running.kill)
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url)
        yield running, url
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=10)
        assert "Traceback" not in output, output


def _wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(url)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def sandbox(process: tuple[subprocess.Popen[str], str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=process[1], timeout=10) as client:
        client.delete("/received").raise_for_status()
        client.put("/secrets", json=[SECRET]).raise_for_status()
        yield client


def _listed(client: httpx.Client, **params: int) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get("/received", params=params).json()["received"]
    return listed


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "PATCH", "DELETE"])
def test_post_echoes_what_it_got(sandbox: httpx.Client, method: str) -> None:
    answer = sandbox.request(method, "/post?a=1&b=x%20y", json={"k": "ü"}, headers={"X-A": "b"})
    echo = answer.json()
    assert answer.status_code == 200
    assert echo["method"] == method
    assert echo["args"] == {"a": "1", "b": "x y"}
    assert echo["json"] == {"k": "ü"}
    assert echo["data"] == '{"k":"ü"}'
    assert echo["headers"]["x-a"] == "b"
    assert echo["url"] == f"{sandbox.base_url}/post?a=1&b=x%20y"


def test_post_echoes_what_is_no_json_and_no_text_too(sandbox: httpx.Client) -> None:
    echo = sandbox.post("/post", content=b"\xff{").json()
    assert (echo["json"], echo["data"]) == (None, "\ufffd{")


@pytest.mark.parametrize("code", [200, 204, 304, 404, 410, 429, 500, 503, 599])
def test_status_answers_as_asked(sandbox: httpx.Client, code: int) -> None:
    assert sandbox.post(f"/status/{code}").status_code == code
    assert [entry["status"] for entry in _listed(sandbox)] == [code]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_leads_somewhere_so_that_following_it_shows(
    sandbox: httpx.Client, code: int
) -> None:
    assert sandbox.post(f"/status/{code}").headers["location"] == "/post"


NONSENSE = (
    "status/99 status/600 status/x status/200.5 delay/-1 delay/nan delay/61 flaky/101 flaky/x "
    "retry-after/-1 received?after=x received?limit=-1"
)


@pytest.mark.parametrize("path", NONSENSE.split())
def test_nonsense_is_a_400_that_says_what_is_wanted(sandbox: httpx.Client, path: str) -> None:
    answer = sandbox.get(f"/{path}")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_delay_answers_after_its_time(sandbox: httpx.Client) -> None:
    started = time.monotonic()
    assert sandbox.post("/delay/0.2", json=[1]).json()["json"] == [1]
    assert time.monotonic() - started >= 0.2


def test_slow_answers_with_both_times(sandbox: httpx.Client) -> None:
    times = sandbox.get("/slow?ts=1234").json()
    assert times["request_time"] == 1234
    assert abs(times["response_time"] - time.time()) < 60


def test_flaky_fails_its_share_and_a_seed_makes_it_repeatable(sandbox: httpx.Client) -> None:
    assert {sandbox.post("/flaky/0").status_code for _ in range(20)} == {200}
    assert {sandbox.post("/flaky/100").status_code for _ in range(20)} == {500}
    runs = [
        [sandbox.post(path).status_code for _ in range(100)]
        for path in ("/flaky/30?seed=one", "/flaky/30.0?seed=one", "/flaky/30?seed=two")
    ]
    assert all(10 < run.count(500) < 60 for run in runs)
    assert runs[0] == runs[1] != runs[2]


def test_gone_and_retry_after_say_so(sandbox: httpx.Client) -> None:
    assert sandbox.post("/gone").status_code == 410
    later = sandbox.post("/retry-after/7")
    assert (later.status_code, later.headers["retry-after"]) == (503, "7")
    assert sandbox.post("/retry-after/7?status=429").status_code == 429


def test_hang_never_answers_and_is_listed_all_the_same(sandbox: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        sandbox.post("/hang", timeout=0.3)
    [entry] = _listed(sandbox)
    assert (entry["path"], entry["status"]) == ("/hang", None)


def test_an_unknown_path_lists_the_known_ones(sandbox: httpx.Client) -> None:
    assert sandbox.get("/nothing").status_code == 404
    assert "/flaky" in sandbox.get("/").json()["paths"]
    assert _listed(sandbox) == []


async def test_a_delivery_of_ours_is_listed_with_a_valid_signature(sandbox: httpx.Client) -> None:
    door = Door(allowed_networks=["127.0.0.1/32"])
    envelope = Envelope(
        message_id="msg_1",
        attempt=2,
        sequence=9,
        method="POST",
        url=f"{sandbox.base_url}/post",
        headers={},
        secrets=(new_secret(), SECRET),
        body=b'{"type":"ping"}',
        timeout=5,
    )
    outcome = await connector_for("webhook").send(envelope, door=door)
    await door.aclose()
    assert outcome.status_code == 200
    [entry] = _listed(sandbox)
    at = entry.pop("at")
    n = entry.pop("n")
    assert at.endswith("+00:00")
    assert n > 0
    assert entry == {
        "method": "POST",
        "path": "/post",
        "webhook_id": "msg_1",
        "attempt": 2,
        "sequence": 9,
        "signature": "valid",
        "status": 200,
        "body": '{"type":"ping"}',
    }


def _signed(secret: str, body: bytes, at: int) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secrets=[secret], message_id="msg_1", timestamp=at, body=body),
    }


def test_a_signature_is_valid_invalid_missing_or_unknown(sandbox: httpx.Client) -> None:
    now, other = int(time.time()), new_secret()
    sandbox.post("/post", content=b"a", headers=_signed(SECRET, b"a", now))
    sandbox.post("/post", content=b"a", headers=_signed(SECRET, b"b", now))
    sandbox.post("/post", content=b"a", headers=_signed(SECRET, b"a", now - 400))
    sandbox.post("/post", content=b"a", headers=_signed(other, b"a", now))
    sandbox.post("/post", content=b"a")
    assert sandbox.post("/secrets", json=[other]).json() == {"secrets": 2}
    sandbox.post("/post", content=b"a", headers=_signed(other, b"a", now))
    sandbox.post("/post", content=b"a", headers=_signed(SECRET, b"a", now))
    assert sandbox.put("/secrets", json=[]).json() == {"secrets": 0}
    sandbox.post("/post", content=b"a", headers=_signed(SECRET, b"a", now))
    found = [entry["signature"] for entry in _listed(sandbox)]
    assert found == [
        *("valid", "invalid", "invalid", "invalid", "missing", "valid", "valid", "unknown")
    ]


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"nonsense", b'["whsec_short"]', b'["plain"]'])
def test_what_is_no_list_of_secrets_is_refused(sandbox: httpx.Client, body: bytes) -> None:
    assert sandbox.put("/secrets", content=body).status_code == 400
    assert sandbox.get("/secrets").json() == {"secrets": 1}


def test_the_list_is_read_page_by_page(sandbox: httpx.Client) -> None:
    for n in range(25):
        sandbox.post("/post", content=str(n))
    seen: list[str] = []
    after = 0
    while page := _listed(sandbox, after=after, limit=10):
        assert len(page) <= 10
        seen += [entry["body"] for entry in page]
        after = page[-1]["n"]
    assert seen == [str(n) for n in range(25)]
    summary = sandbox.get("/received", params={"limit": 0}).json()
    assert (summary["kept"], summary["last"], summary["received"]) == (25, after, [])
    assert sandbox.delete("/received").status_code == 204
    assert _listed(sandbox) == []


def test_an_enormous_body_is_refused(sandbox: httpx.Client) -> None:
    assert sandbox.post("/post", content=bytes(10 * 2**20 + 1)).status_code == 413


def test_a_wrong_secret_in_the_environment_stops_the_start() -> None:
    with pytest.raises(BadSecret):
        Sandbox(secrets=["whsec_x"])
    result = subprocess.run(
        [sys.executable, "manage.py", "sandbox"],
        cwd=ROOT,
        env={**os.environ, "SANDBOX_SECRETS": "whsec_x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "SANDBOX_SECRETS" in result.stderr
    assert Command.help
