"""Settle: write down what came of a group of attempts, in one short transaction.

Locks in the order of the whole house: destinations → heads → deliveries. Every outcome is fenced
by its claim: a worker that slept past its lease writes nothing at all.
"""

import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import connection, transaction

from tasks_app.connectors.base import Outcome, TwinNote, Verdict
from tasks_app.delivery.breaker import note
from tasks_app.delivery.give_up import pause_hopeless
from tasks_app.delivery.hold import Order, lock_destinations, write_destinations
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.notice import opened_events, paused_events
from tasks_app.delivery.retry import History, Ruling, rule
from tasks_app.delivery.twins import write_twins
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.events.record import lock_heads, record_events
from tasks_app.events.turn import move_on
from tasks_app.models import Delivery, DeliveryState
from tasks_app.observability.metrics import count_attempt

logger = logging.getLogger(__name__)

PATIENCE: Final = 200  # milliseconds; for a lock, where others are waiting to be written down
TYPES = {
    DeliveryState.SUCCEEDED: EventType.TASK_SYNCED,
    DeliveryState.PENDING: EventType.TASK_SYNC_RETRYING,
    DeliveryState.DEAD: EventType.TASK_SYNC_FAILED,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that is over; ``at`` is this process's monotonic clock, in seconds."""

    row: Leased
    outcome: Outcome
    at: float = field(default_factory=time.monotonic)


def settle_soon(group: Sequence[Ended]) -> int:
    """Settle, or raise OperationalError where a lock is not to be had within PATIENCE."""
    return settle(group, patience=PATIENCE)


def settle(group: Sequence[Ended], *, patience: int | None = None) -> int:
    """Write down a group of attempts; returns how many claims still held.

    ``patience`` is for how long to wait for a lock, in milliseconds, where not as long as ever.
    """
    if not group:
        return 0
    ruled = [(ended, _ruling(ended)) for ended in group]
    with transaction.atomic():
        if patience is not None:
            _wait_no_longer_than(patience)
        lock_destinations({order.destination_id for order in _orders(ruled)})
        lock_heads({ended.row.workspace_id for ended in group})
        settled = _write_deliveries(ruled)
        write_twins(_notes(group, settled))
        paused = write_destinations(_orders(ruled, among=settled))
        seen = note(_attempts(group, among=settled))
        broken = move_on(settled)
        told = outcome_events(_told(group, settled))
        record_events([*paused_events(paused), *opened_events(seen.opened), *told, *broken])
    pause_hopeless(seen.hopeless)
    _count(group, settled)
    if len(settled) < len(group):
        logger.warning("stale_claims_refused", extra={"count": len(group) - len(settled)})
    return len(settled)


def _count(group: Sequence[Ended], settled: Sequence[Delivery]) -> None:
    states = {one.pk: one.state for one in settled}
    for ended in group:
        if ended.row.delivery_id in states:
            count_attempt(
                kind=ended.row.destination.kind,
                state=states[ended.row.delivery_id],
                seconds=ended.outcome.duration_ms / 1000,
            )


def _wait_no_longer_than(patience: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(patience)])


def _ruling(ended: Ended) -> Ruling:
    row = ended.row
    return rule(
        History(
            schedule=row.destination.retry_schedule,
            failures=row.failures,
            attempts=row.attempts,
            age=row.age,
            once=row.is_ping,
        ),
        verdict=ended.outcome.verdict,
        retry_after=ended.outcome.retry_after,
        jitter=random.uniform(-1, 1),  # noqa: S311 - spreads load, hides nothing
        max_age=settings.DELIVERY_MAX_AGE,
    )


def _attempts(group: Sequence[Ended], among: Sequence[Delivery]) -> list[tuple[Leased, Outcome]]:
    """Return the attempts whose claims still held, in the order in which they ended."""
    held = {one.pk for one in among}
    return [(one.row, one.outcome) for one in group if one.row.delivery_id in held]


def _orders(
    ruled: Sequence[tuple[Ended, Ruling]], among: Sequence[Delivery] | None = None
) -> list[Order]:
    """Return what to do to destinations; once settled, only by claims that still held."""
    held = None if among is None else {one.pk for one in among}
    return [
        Order(destination_id=ended.row.destination_id, hold=ruling.hold, pause=ruling.pause)
        for ended, ruling in ruled
        if (ruling.hold is not None or ruling.pause)
        and (held is None or ended.row.delivery_id in held)
    ]


def _write_deliveries(ruled: Sequence[tuple[Ended, Ruling]]) -> list[Delivery]:
    now = time.monotonic()
    items = orjson.dumps([_item(ended, ruling, now) for ended, ruling in ruled])
    return deliveries_of("SELECT * FROM aftercommit_settle(%s::jsonb)", [items.decode()])


def _item(ended: Ended, ruling: Ruling, now: float) -> dict[str, Any]:
    row, outcome = ended.row, ended.outcome
    return {
        "id": row.delivery_id,
        "claim": row.claim_id,
        "state": ruling.state,
        "delay": ruling.delay,
        "spent": ruling.spent,
        "rank": ruling.rank,
        "status_code": outcome.status_code,
        "error": outcome.error,
        "ago": now - ended.at + outcome.duration_ms / 1000,
        "duration_ms": outcome.duration_ms,
        "phases": dict(outcome.phases),
        "failed_phase": outcome.failed_phase,
        "detail": _text(outcome.detail, 300),
        "excerpt": _text(outcome.excerpt, 2048),
    }


def _text(text: str, most: int) -> str:
    """Return what PostgreSQL can keep: no NUL (connectors promise it; one slip ends a group)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:most]


def _told(group: Sequence[Ended], settled: Sequence[Delivery]) -> list[Told]:
    """Return what came of each; a step changes nothing that anybody was told of."""
    rows = {e.row.delivery_id: e.row for e in group if e.outcome.verdict is not Verdict.STEP}
    return [
        Told(delivery=one, type=TYPES[DeliveryState(one.state)], cause=_cause(rows[one.pk]))
        for one in settled
        if one.pk in rows
    ]


def _notes(
    group: Sequence[Ended], settled: Sequence[Delivery]
) -> Iterator[tuple[Leased, TwinNote]]:
    """Yield what attempts learnt of twins, by claims that still held."""
    held = {one.pk for one in settled}
    for ended in group:
        if ended.outcome.twin is not None and ended.row.delivery_id in held:
            yield ended.row, ended.outcome.twin


def _cause(row: Leased) -> Cause:
    """Return the engine as the actor, in the request and the trace that began it."""
    return Cause(
        kind="system", name="delivery", request_id=row.request_id, traceparent=row.traceparent
    )
