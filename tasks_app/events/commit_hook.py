"""The project's only `on_commit`: two bells, once a transaction, bounded in time, never raising.

What has been committed is already safe; a bell only saves waiting for the sweep and for the
stream's own look at the log. So when Valkey is down or silent, one caller in
BELL_BREAKER_SECONDS pays for at most two waits (see `valkey`) and the rest pay nothing.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import redis
from celery import current_app
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection, transaction

from tasks_app.events import wire
from tasks_app.events.valkey import Breaker, bell_client, breaker, cache_breaker, cache_client
from tasks_app.observability.metrics import BELLS_FAILED, EVENTS

logger = logging.getLogger(__name__)


class Bells:
    """What one transaction will ring for, gathered while it runs."""

    __qualname__ = "Bells"  # Django names a failing hook by it

    def __init__(self) -> None:
        self.grown: dict[uuid.UUID, int] = {}
        self.deliver = False
        self.access: set[uuid.UUID | None] = set()
        self.kinds: Counter[str] = Counter()

    def add(self, workspace_id: uuid.UUID, seq: int, *, deliver: bool, kind: str) -> None:
        """Remember that a log has grown by an event, and whether there is something to deliver."""
        self.kinds[kind] += 1
        self.grown[workspace_id] = max(seq, self.grown.get(workspace_id, 0))
        self.deliver = self.deliver or deliver

    def __call__(self) -> None:
        """Count and ring; whatever goes wrong is logged and left to the sweep."""
        for kind, count in self.kinds.items():
            EVENTS.labels(kind).inc(count)
        ring(self.grown, deliver=self.deliver, access=self.access)


def ring_after_commit(
    workspace_id: uuid.UUID, seq: int, *, deliver: bool, kind: str = "other"
) -> None:
    """Ring once this transaction has committed; not at all if it rolls back."""
    _bells_of_this_transaction().add(workspace_id, seq, deliver=deliver, kind=kind)


def tell_access_changed(workspace_id: uuid.UUID | None) -> None:
    """Make streams ask again who may follow, once this has committed; None: everywhere.

    A bell that is lost costs seconds: streams ask by themselves as well.
    """
    if connection.in_atomic_block:
        _bells_of_this_transaction().access.add(workspace_id)
    else:  # it is committed already: a hook hung now would ring before it knew for what
        ring({}, deliver=False, access={workspace_id})


def ring_drain() -> None:
    """Wake a drain now: for the sweep, which found due rows whose bell was lost."""
    ring({}, deliver=True)


def ring(
    grown: dict[uuid.UUID, int],
    *,
    deliver: bool,
    access: Collection[uuid.UUID | None] = (),
) -> None:
    """Tell the channel layer what has changed and, if asked, wake a drain. Never raises."""
    if not settings.CACHE_URL:
        _ring_at(bell_client, breaker(), grown, access, deliver=deliver)
        return
    if grown or access:
        _ring_at(cache_client, cache_breaker(), grown, access, deliver=False)
    if deliver:
        _ring_at(bell_client, breaker(), {}, (), deliver=True)


def _ring_at(
    server: Callable[[], redis.Redis],
    fuse: Breaker,
    grown: dict[uuid.UUID, int],
    access: Collection[uuid.UUID | None],
    *,
    deliver: bool,
) -> None:
    if fuse.is_open:
        return
    try:
        if _announce(server(), grown, access, deliver=deliver):
            current_app.send_task(
                wire.DRAIN_TASK, queue=wire.DRAIN_QUEUE, ignore_result=True, retry=False
            )
    except Exception:
        fuse.trip()
        BELLS_FAILED.inc()
        logger.warning("bells_failed", exc_info=True, extra={"workspaces": len(grown)})


def _announce(
    client: redis.Redis,
    grown: dict[uuid.UUID, int],
    access: Collection[uuid.UUID | None],
    *,
    deliver: bool,
) -> bool:
    """Publish what has changed; return whether this caller is the one to wake a drain."""
    pipeline = client.pipeline(transaction=False)
    for workspace_id, seq in grown.items():
        message: dict[str, Any] = {
            "type": wire.LOG_GREW,
            "workspace": str(workspace_id),
            "seq": seq,
        }
        pipeline.publish(*_to_group(wire.workspace_group(workspace_id), message))
    for changed in access:
        message = {"type": wire.ACCESS_CHANGED, "workspace": str(changed) if changed else None}
        pipeline.publish(*_to_group(wire.CONTROL_GROUP, message))
    if deliver:
        pipeline.set(wire.DRAIN_WAKE_KEY, 1, nx=True, px=wire.DRAIN_WAKE_MS)
    results: list[Any] = pipeline.execute()
    return deliver and bool(results[-1])


def _to_group(group: str, message: dict[str, Any]) -> tuple[str, bytes]:
    """Return where and what the channel layer itself would publish (channels_redis.pubsub).

    Going through its coroutine from synchronous code would make an event loop and a Redis
    connection for every call.
    """
    return f"{settings.CHANNEL_PREFIX}__group__{group}", get_channel_layer().serialize(message)


def _bells_of_this_transaction() -> Bells:
    """Return the bells already hung in this transaction, or hang new ones.

    Only bells hung in this savepoint or one around it may be reused: those of a savepoint that
    rolled back are gone, and those hung here vanish only together with what is added now.
    """
    here = set(connection.savepoint_ids)
    for savepoints, hook, *_ in connection.run_on_commit:
        if isinstance(hook, Bells) and set(savepoints) <= here:
            return hook
    bells = Bells()
    transaction.on_commit(bells)
    return bells
