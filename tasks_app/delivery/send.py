"""Send: one attempt at one delivery. No transaction, no lock, no database connection.

Whatever goes wrong on our side (a secret that does not open, a connector that is not there, a
bug) is a FAULT: it spends nothing of the destination's schedule.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Mapping

import orjson

from tasks_app.connectors.auth.authorized import Authorizer
from tasks_app.connectors.base import Envelope, ErrorCode, Outcome, Verdict
from tasks_app.connectors.registry import connector_for
from tasks_app.connectors.webhook import webhook_body
from tasks_app.delivery.approach import access_of, signing_with
from tasks_app.delivery.leased import Leased
from tasks_app.events.wire import event_to_wire, message_id
from tasks_app.models import Event
from tasks_app.security.encryption import EncryptionError

logger = logging.getLogger(__name__)


async def send(row: Leased, *, by: Authorizer) -> Outcome:
    """Make one attempt. Raises nothing but asyncio.CancelledError."""
    started = time.perf_counter()
    try:
        access = access_of(row.destination)
        door = by.door_for(access)
        sent = envelope(row, headers=access.headers)
        return await connector_for(row.destination.kind).send(sent, door=door)
    except Exception as error:
        logger.exception("send_fault", extra={"delivery": str(row.delivery_id)})
        return Outcome(
            verdict=Verdict.FAULT,
            error=ErrorCode.FAULT,
            detail=_said(error),
            phases={},
            duration_ms=(time.perf_counter() - started) * 1000,
        )


def _said(error: Exception) -> str:
    if isinstance(error, EncryptionError):
        return "A secret of this destination does not open with ENCRYPTION_KEYS; nothing was sent."
    return f"We could not send: {type(error).__name__}."


def envelope(row: Leased, *, headers: Mapping[str, str]) -> Envelope:
    """Return what the connector needs.

    Raises tasks_app.security.encryption.EncryptionError where a secret does not open.
    """
    to = row.destination
    return Envelope(
        message_id=message_id(row.message_id),
        attempt=row.attempts + 1,
        sequence=row.sequence,
        method=to.method,
        url=to.url,
        headers=headers,
        secrets=signing_with(to),
        body=webhook_body(event_to_wire(_event(row))),
        timeout=float(to.timeout),
        traceparent=traceparent(row),
        replay=row.replay,
    )


def _event(row: Leased) -> Event:
    return Event(
        id=row.event_id,
        workspace_id=row.workspace_id,
        seq=row.event_seq,
        schema=row.schema,
        type=row.event_type,
        at=row.at,
        actor=orjson.loads(row.actor),
        request_id=row.request_id,
        task_id=row.task_id,
        data=orjson.loads(row.data),
    )


def traceparent(row: Leased) -> str:
    """Return the attempt's own span in the trace of the request behind it (W3C Trace Context §3.2).

    A request that brought no trace gets one made from its id, the same for all its deliveries.
    """
    if row.traceparent:
        version, trace, _, flags = row.traceparent.split("-")
    else:
        origin = row.request_id or row.event_id.hex
        trace = hashlib.sha256(origin.encode()).hexdigest()[:32]
        version, flags = "00", "00"
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"
