"""The webhook connector over real sockets: what arrives, and what each answer comes to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tasks_app.connectors.base import EXCERPT_BYTES, Door, Envelope, ErrorCode, Outcome, Verdict
from tasks_app.connectors.registry import UnknownConnector, connector_for, kinds, register
from tasks_app.connectors.webhook import WebhookConnector, webhook_body
from tasks_app.security.signing import new_secret
from tasks_app.version import VERSION
from tests.support import receiver as bad
from tests.support.receiver import Exchange, closed_port, receiver

EVENT = {"seq": 17, "type": "task_created", "at": "2026-11-21T12:00:00Z", "task": {"title": "Ünï"}}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    door = Door(allowed_networks=["127.0.0.1/32"])
    yield door
    await door.aclose()


def _envelope(url: str, **changes: Any) -> Envelope:
    values: dict[str, Any] = {
        "message_id": "msg_0198f",
        "attempt": 3,
        "sequence": 42,
        "method": "POST",
        "url": url,
        "headers": {"X-Tenant": "acme"},
        "secrets": (new_secret(),),
        "body": webhook_body(EVENT),
        "timeout": 5.0,
        "traceparent": TRACE,
    }
    return Envelope(**(values | changes))


async def _send(door: Door, url: str, **changes: Any) -> Outcome:
    return await connector_for("webhook").send(_envelope(url, **changes), door=door)


async def test_what_arrives_is_what_the_contract_says(door: Door) -> None:
    secrets = (new_secret(), new_secret())
    async with receiver(bad.well) as peer:
        outcome = await _send(door, peer.url, secrets=secrets)
    assert (outcome.verdict, outcome.status_code, outcome.error) == (Verdict.SUCCEEDED, 200, "")
    assert outcome.excerpt == "ok"
    assert outcome.duration_ms > 0
    [request] = peer.requests
    expected = {
        "content-type": "application/json",
        "user-agent": f"Aftercommit/{VERSION}",
        "webhook-id": "msg_0198f",
        "idempotency-key": "msg_0198f",
        "webhook-attempt": "3",
        "webhook-sequence": "42",
        "traceparent": TRACE,
        "x-tenant": "acme",
    }
    assert request.headers.items() >= expected.items()
    for secret in secrets:
        assert Webhook(secret).verify(request.body, request.headers) == {
            "type": "task_created",
            "timestamp": "2026-11-21T12:00:00Z",
            "data": EVENT,
        }


async def test_what_is_sent_out_of_its_order_says_so_and_nothing_else_does(door: Door) -> None:
    async with receiver(bad.well) as peer:
        await _send(door, peer.url, replay="by-hand", traceparent="")
        await _send(door, peer.url)
    assert peer.requests[0].headers["webhook-replay"] == "by-hand"
    assert "traceparent" not in peer.requests[0].headers
    assert "webhook-replay" not in peer.requests[1].headers


async def test_a_destination_s_headers_never_replace_ours(door: Door) -> None:
    forged = {
        "Webhook-Id": "msg_forged",
        "HOST": "inside",
        "user-agent": "x",
        "Content-Length": "0",
    }
    async with receiver(bad.well) as peer:
        outcome = await _send(door, peer.url, headers=forged)
    assert outcome.verdict is Verdict.SUCCEEDED
    [request] = peer.requests
    assert request.headers["webhook-id"] == "msg_0198f"
    assert request.headers["host"] == f"127.0.0.1:{peer.port}"
    assert orjson.loads(request.body)["data"] == EVENT


async def test_a_header_that_is_echoed_is_not_kept(door: Door) -> None:
    """An attempt is for every member to read; what lies in a destination's headers is not."""

    async def echo(exchange: Exchange) -> None:
        shown = exchange.request.headers["authorization"]
        await exchange.answer(200, b"x" * (EXCERPT_BYTES - 25) + f" got {shown}".encode())

    async with receiver(echo) as peer:
        outcome = await _send(door, peer.url, headers={"Authorization": "Bearer t0p-s3cret-token"})
    assert "got Bearer •••" in outcome.excerpt
    assert "t0p" not in outcome.excerpt


async def test_every_status_comes_to_one_verdict_and_retry_after_is_heard(door: Door) -> None:
    async def answer(exchange: Exchange) -> None:
        status = int(exchange.request.line.split("/")[2][:3])
        body = b"" if status in (204, 304) else b"ok"
        await exchange.answer(status, body, Retry_After="120")

    async with receiver(answer) as peer:
        for status in (*range(200, 600), 999):
            outcome = await _send(door, f"http://127.0.0.1:{peer.port}/s/{status}")
            assert outcome.status_code == status
            if 200 <= status < 300:
                assert (outcome.verdict, outcome.error) == (Verdict.SUCCEEDED, "")
                assert outcome.retry_after is None
                continue
            assert outcome.verdict is (Verdict.GONE if status == 410 else Verdict.FAILED)
            expected = f"http_{status // 100}xx" if status < 600 else "protocol_error"
            assert outcome.error == expected
            assert outcome.retry_after == 120


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("86401", 86_400, 86_400), ("date", 50, 61), ("soon", None, None), ("\xff", None, None)],
)
async def test_retry_after_is_read_capped_and_garbage_ignored(
    door: Door, value: str, low: float | None, high: float | None
) -> None:
    if value == "date":
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    async def later(exchange: Exchange) -> None:
        await exchange.answer(503, Retry_After=value)

    async with receiver(later) as peer:
        outcome = await _send(door, peer.url)
    if low is None or high is None:
        assert outcome.retry_after is None
    else:
        assert outcome.retry_after is not None
        assert low <= outcome.retry_after <= high


async def test_the_excerpt_is_text_that_a_database_takes(door: Door) -> None:
    async with receiver(bad.nul_and_broken_text) as peer:
        outcome = await _send(door, peer.url)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.excerpt == "a\ufffdb\ufffd\ufffdc"


async def test_the_excerpt_is_bounded(door: Door) -> None:
    async with receiver(bad.endless_body) as peer:
        outcome = await _send(door, peer.url)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert len(outcome.excerpt) == EXCERPT_BYTES


@pytest.mark.parametrize(
    ("script", "error", "phase", "status"),
    [
        (bad.silence, ErrorCode.HEADERS_TIMEOUT, "headers", None),
        (bad.drip_body, ErrorCode.BODY_TIMEOUT, "body", 200),
        (bad.too_short, ErrorCode.CONNECTION_RESET, "body", 200),
        (bad.many_headers, ErrorCode.PROTOCOL_ERROR, "headers", None),
    ],
)
async def test_what_a_peer_does_wrong_is_its_failure(
    door: Door, script: bad.Script, error: ErrorCode, phase: str, status: int | None
) -> None:
    async with receiver(script) as peer:
        outcome = await _send(door, peer.url, timeout=1.0)
    assert (outcome.verdict, outcome.error) == (Verdict.FAILED, error)
    assert (outcome.failed_phase, outcome.status_code) == (phase, status)
    assert phase in outcome.phases


async def test_a_refused_connection_and_a_refused_target_are_failures(door: Door) -> None:
    closed = await _send(door, f"http://127.0.0.1:{closed_port()}/")
    inside = await _send(door, "http://10.0.0.1/")
    assert (closed.verdict, closed.error) == (Verdict.FAILED, ErrorCode.CONNECT_REFUSED)
    assert (inside.verdict, inside.error) == (Verdict.FAILED, ErrorCode.ADDRESS_REFUSED)


@pytest.mark.parametrize(
    "changes",
    [
        {"secrets": ("whsec_broken",)},
        {"secrets": ()},
        {"message_id": "msg.1"},
        {"headers": {"X": "a\r\nb"}},
        {"body": None},
        {"headers": None},
    ],
)
async def test_what_we_do_wrong_is_our_fault_and_sends_nothing(
    door: Door, changes: dict[str, Any]
) -> None:
    async with receiver(bad.well) as peer:
        outcome = await _send(door, peer.url, **changes)
        assert (outcome.verdict, outcome.error) == (Verdict.FAULT, ErrorCode.FAULT)
        assert peer.requests == []
    assert "whsec" not in repr(outcome)


async def test_cancelling_goes_through(door: Door) -> None:
    async with receiver(bad.silence) as peer:
        task = asyncio.create_task(_send(door, peer.url))
        while not peer.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert door.in_flight == 0


async def test_an_envelope_hides_what_is_secret() -> None:
    secret = new_secret()
    envelope = _envelope("http://x/", secrets=(secret,), headers={"Authorization": "Bearer abc"})
    assert secret not in repr(envelope)
    assert "abc" not in repr(envelope)


async def test_connectors_are_found_by_kind() -> None:
    assert "webhook" in kinds()
    assert isinstance(connector_for("webhook"), WebhookConnector)
    with pytest.raises(UnknownConnector):
        connector_for("pigeon")
    with pytest.raises(ValueError, match="registered already"):
        register(WebhookConnector())
