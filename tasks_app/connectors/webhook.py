"""Signed webhooks: Standard Webhooks headers over the body, and what each answer means.

2xx is success, 410 says "leave me alone", everything else is a failure that the schedule retries.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final

import orjson

from tasks_app.connectors.base import (
    EXCERPT_BYTES,
    Connector,
    Envelope,
    ErrorCode,
    Outcome,
    Verdict,
    WayOut,
)
from tasks_app.connectors.failure import RawHeaders
from tasks_app.connectors.headers import is_reserved
from tasks_app.connectors.http import Answer, DoorFailure
from tasks_app.connectors.mapping import mapped
from tasks_app.connectors.retry_after import longest_retry_after
from tasks_app.security.signing import sign
from tasks_app.version import VERSION

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
USER_AGENT: Final = f"Aftercommit/{VERSION}"
SECRET_LENGTH: Final = 8
"""A shorter word of a header hides nothing, and masking it would spoil the excerpt."""
MASK: Final = "•••".encode()

_CLASSES: Final = {3: ErrorCode.HTTP_3XX, 4: ErrorCode.HTTP_4XX, 5: ErrorCode.HTTP_5XX}


def webhook_body(event: Mapping[str, Any]) -> bytes:
    """Build the body `{"type", "timestamp", "data"}` of an event as the API shows it."""
    return orjson.dumps({"type": event["type"], "timestamp": event["at"], "data": event})


class WebhookConnector(Connector):
    """POSTs the body, signed with every secret that is in force."""

    kind: ClassVar[str] = "webhook"

    def compose(self, event: Mapping[str, Any], *, mapping: str = "") -> bytes:
        """Build the body: the envelope of Standard Webhooks, or what the mapping makes."""
        return mapped(mapping, event) if mapping else webhook_body(event)

    async def send(self, envelope: Envelope, *, door: WayOut) -> Outcome:
        """Make one attempt. Raises nothing but `asyncio.CancelledError`."""
        return await attempt(envelope, door=door)


async def attempt(
    envelope: Envelope,
    *,
    door: WayOut,
    judge: Callable[[Answer, Envelope], Outcome] | None = None,
    headers: Mapping[str, str] = NOTHING,
) -> Outcome:
    """Send one signed request and judge its answer, as a webhook's unless told otherwise.

    `headers` are the connector's own and replace ours. Raises nothing but
    `asyncio.CancelledError`.
    """
    started = time.perf_counter()
    try:
        answer = await door.request(
            method=envelope.method,
            url=envelope.url,
            headers={
                **webhook_headers(envelope, timestamp=int(time.time() + envelope.ahead)),
                **headers,
            },
            body=envelope.body,
            timeout=envelope.timeout,
        )
        return (judge or judged)(answer, envelope)
    except DoorFailure as failure:
        return _failed(failure, envelope)
    except Exception as exc:  # noqa: BLE001 - a bug of ours must not end the drain
        return Outcome(
            verdict=Verdict.FAULT,
            error=ErrorCode.FAULT,
            detail=f"We could not send: {type(exc).__name__}.",
            phases={},
            duration_ms=(time.perf_counter() - started) * 1000,
        )


def webhook_headers(envelope: Envelope, *, timestamp: int) -> dict[str, str]:
    """Build the headers of one attempt; the destination's own never replace ours.

    `timestamp` is in Unix seconds, fresh for each attempt. Raises BadSecret.
    """
    headers = {name: value for name, value in envelope.headers.items() if not is_reserved(name)}
    headers |= {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Idempotency-Key": envelope.idempotency_key or envelope.message_id,
        "webhook-id": envelope.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(
            secrets=envelope.secrets,
            message_id=envelope.message_id,
            timestamp=timestamp,
            body=envelope.body,
        ),
        "webhook-attempt": str(envelope.attempt),
        "webhook-sequence": str(envelope.sequence),
    }
    if envelope.traceparent:
        headers["traceparent"] = envelope.traceparent
    if envelope.replay:
        headers["webhook-replay"] = envelope.replay
    return headers


def judged(answer: Answer, envelope: Envelope) -> Outcome:
    """Return what an answer to a webhook comes to."""
    is_success = 200 <= answer.status < 300
    verdict = Verdict.SUCCEEDED if is_success else Verdict.FAILED
    if answer.status == 410:
        verdict = Verdict.GONE
    error = ErrorCode.NONE if is_success else _CLASSES.get(answer.status // 100)
    return Outcome(
        verdict=verdict,
        status_code=answer.status,
        error=ErrorCode.PROTOCOL_ERROR if error is None else error,
        detail="" if is_success else f"The destination answered {answer.status}.",
        retry_after=None if is_success else _retry_after(answer.raw_headers, envelope),
        excerpt=_excerpt(answer.body, envelope),
        phases=answer.phases,
        duration_ms=answer.duration_ms,
    )


def _retry_after(headers: RawHeaders, envelope: Envelope) -> float | None:
    now = datetime.fromtimestamp(time.time() + envelope.ahead, UTC)
    return longest_retry_after(headers, now=now)


def _excerpt(body: bytes, envelope: Envelope) -> str:
    """Keep what every member may read: some receivers echo the headers they got, tokens and all."""
    for word in {word for value in envelope.headers.values() for word in value.split()}:
        if len(word) >= SECRET_LENGTH:
            body = body.replace(word.encode(), MASK)
    # NUL is legal JSON text and UTF-8, and the one character PostgreSQL's text refuses.
    return body[:EXCERPT_BYTES].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _failed(failure: DoorFailure, envelope: Envelope) -> Outcome:
    return Outcome(
        verdict=Verdict.FAULT if failure.ours else Verdict.FAILED,
        status_code=failure.status_code,
        error=failure.code,
        detail=failure.detail,
        retry_after=_retry_after(failure.raw_headers, envelope),
        failed_phase=failure.phase.value,
        phases=failure.phases,
        duration_ms=failure.duration_ms,
    )
