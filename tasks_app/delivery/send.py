"""Send: one attempt at one delivery. No transaction, no lock, no database connection.

Whatever goes wrong on our side (a secret that does not open, a connector that is not there, a
bug) is a FAULT: it spends nothing of the destination's schedule.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

from tasks_app.connectors.auth.authorized import Authorizer
from tasks_app.connectors.base import Envelope, ErrorCode, Outcome, Twin, TwinNote, Verdict
from tasks_app.connectors.mapping import MappingError
from tasks_app.connectors.registry import connector_for
from tasks_app.connectors.sample import SAMPLE_TASK
from tasks_app.connectors.twin import GONE
from tasks_app.delivery.approach import access_of, signing_with
from tasks_app.delivery.leased import Leased
from tasks_app.events.wire import message_id
from tasks_app.security.encryption import EncryptionError

logger = logging.getLogger(__name__)


async def send(row: Leased, *, by: Authorizer) -> Outcome:
    """Make one attempt. Raises nothing but asyncio.CancelledError."""
    started = time.perf_counter()
    try:
        access = access_of(row.destination)
        connector = connector_for(row.destination.kind)
        ready = connector.prepare(envelope(row, headers=access.headers))
    except Exception as error:  # noqa: BLE001 - whatever it is, one row must not end a drain
        return _fault(row, error, started, twin=_not_begun(row.twin))
    try:
        return await connector.send(ready, door=by.door_for(access))
    except Exception as error:  # noqa: BLE001 - the same
        return _fault(row, error, started)


def _fault(row: Leased, error: Exception, started: float, twin: TwinNote | None = None) -> Outcome:
    is_mapping = isinstance(error, MappingError)
    if not is_mapping:
        logger.error("send_fault", exc_info=error, extra={"delivery": str(row.delivery_id)})
    return Outcome(
        verdict=Verdict.FAULT,
        error=ErrorCode.MAPPING_FAILED if is_mapping else ErrorCode.FAULT,
        detail=_said(error),
        phases={},
        duration_ms=(time.perf_counter() - started) * 1000,
        twin=twin,
    )


def _not_begun(twin: Twin | None) -> TwinNote | None:
    """Take back that a twin was about to be created: nothing was sent, so nothing is in doubt."""
    return None if twin is None or twin.remote_id or twin.is_in_doubt else GONE


def _said(error: Exception) -> str:
    if isinstance(error, MappingError):
        return str(error)
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
        timeout=float(to.timeout),
        traceparent=traceparent(row),
        replay=row.replay,
        ahead=row.ahead,
        event=_event(row),
        mapping=to.mapping,
        twin=row.twin,
        twin_id_path=to.twin_id_path,
    )


def _event(row: Leased) -> dict[str, Any]:
    """Return the event; a ping through a mapping has a sample task, so that it shows the shape."""
    event = row.wire()
    return event | {"task": SAMPLE_TASK} if row.is_ping and row.destination.mapping else event


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
