"""Replays, walked by the sweep: a step is one transaction that makes deliveries and moves a cursor.

A step that is killed has not happened, and the next one does the same. No more than ROOM of a
replay's deliveries wait for their first attempt, and none is due long before its rate allows; so
live changes never stand behind more than that, a cancelled replay has little left to cancel, and
its memory does not grow with its length.

Locks: the replay's row, then the head. Two sweeps pass over each other's.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q, Window
from django.db.models.functions import Now, Random, RowNumber

from tasks_app.delivery.away import is_away
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import behalf_of
from tasks_app.events.outcome import Told, deliveries_of, outcome_events
from tasks_app.events.progress import progress_event, replay_cause
from tasks_app.events.record import NewEvent, lock_heads, record_events
from tasks_app.events.turn import go_on, move_on
from tasks_app.models import (
    OPEN_STATES,
    Circuit,
    CircuitState,
    Delivery,
    Destination,
    DestinationState,
    Replay,
    ReplayState,
)
from tasks_app.queries.replay import KINDS, LONGEST, made_by

logger = logging.getLogger(__name__)

STEP: Final = 500  # deliveries in one transaction; a task goes in whole
ROOM: Final = 2000  # of one replay, not yet tried
LOOK: Final = 2000  # rows of the log read in one step
AHEAD: Final = 2.0  # seconds; how early a delivery with a rate is made
SLICE: Final = 0.5  # seconds of one sweep
TELL_EVERY: Final = 1.0  # seconds
TOO_LONG: Final = "task_too_long"  # as aftercommit_replay_step says it

MAKE: Final = """
    SELECT * FROM aftercommit_replay_step(
        %s::uuid, %s::text[], %s::integer, %s::integer, %s::integer, %s::double precision,
        %s::integer)
"""
CANCEL: Final = """
    UPDATE delivery d SET state = 'cancelled', error = 'replay_cancelled',
        ended_at = statement_timestamp()
    WHERE d.id = ANY(ARRAY(
            SELECT o.id FROM delivery o WHERE o.replay = %s AND o.replay > ''
              AND o.destination_id = %s AND o.state IN ('waiting', 'pending') LIMIT %s))
      AND d.state IN ('waiting', 'pending')
    RETURNING d.*
"""
UNDER_WAY: Final = Q(state__in=[ReplayState.RUNNING, ReplayState.WAITING]) | Q(
    cancels_deliveries=True
)
STILL_PAUSED: Final = Q(
    state=ReplayState.WAITING,
    cancels_deliveries=False,
    destination__deleted_at=None,
    destination__state__in=[DestinationState.PAUSED, DestinationState.AUTO_PAUSED],
)


def replay_some() -> int:
    """Walk replays that are under way for up to SLICE seconds; return how many steps moved."""
    ends = time.monotonic() + SLICE
    walking, moved = _walking(), 0
    while walking and time.monotonic() < ends:
        walking = [pk for pk in walking if time.monotonic() < ends and _isolated(pk)]
        moved += len(walking)
    return moved


def _walking() -> list[uuid.UUID]:
    """Return what to walk, by chance and the workspaces in turns: there may be too many for once.

    What waits for a destination that is still paused has nothing to do.
    """
    turn = Window(RowNumber(), partition_by=F("workspace_id"), order_by=Random())
    rows = Replay.objects.filter(UNDER_WAY).exclude(STILL_PAUSED).annotate(turn=turn)
    return list(rows.order_by("turn", Random()).values_list("pk", flat=True))


def _isolated(replay_id: uuid.UUID) -> bool:
    """Take a step; what goes wrong in one replay is logged and stops no other."""
    try:
        return advance(replay_id)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("replay_step_failed", extra={"replay": str(replay_id)})
        return False


@transaction.atomic
def advance(replay_id: uuid.UUID) -> bool:
    """Take one step of a replay; tell whether another would find something to do at once."""
    rows = Replay.objects.filter(UNDER_WAY, pk=replay_id).annotate(now=Now())
    replay = rows.select_for_update(no_key=True, skip_locked=True).first()
    if replay is None:
        return False
    destination = Destination.objects.get(pk=replay.destination_id)
    before = (replay.state, replay.reason, replay.cursor)
    if replay.state == ReplayState.CANCELLED:
        moved, events = _cancel_waiting(replay)
    else:
        events = _walk(replay, destination)
        moved = replay.cursor > before[2]
    told = _progress(replay, destination, is_news=before[:2] != (replay.state, replay.reason))
    replay.save()
    record_events([*events, *told])
    return moved


def _walk(replay: Replay, destination: Destination) -> list[NewEvent]:
    """Make deliveries where the destination takes any; find out whether all have ended."""
    reason = held_up(destination)
    if destination.deleted_at is not None:
        replay.state, replay.reason, replay.ended_at = ReplayState.CANCELLED, reason, _now(replay)
        return []
    events = [] if reason or replay.cursor >= replay.to_seq else _make(replay)
    if replay.reason == TOO_LONG:
        replay.state, replay.ended_at = ReplayState.CANCELLED, _now(replay)
        return events
    left = _count_open(replay)
    replay.state = ReplayState.WAITING if reason else ReplayState.RUNNING
    replay.reason = reason
    if replay.cursor >= replay.to_seq and not left:
        replay.state, replay.reason, replay.ended_at = ReplayState.DONE, "", _now(replay)
    return events


def held_up(destination: Destination) -> str:
    """Return why a replay has to wait for its destination or end, or nothing.

    An open circuit whose time is over holds nothing up: where nothing else is due, what the replay
    makes is the probe.
    """
    if destination.deleted_at is not None:
        return "destination_deleted"
    if destination.state != DestinationState.ACTIVE:
        return f"destination_{destination.state}"
    is_open = Circuit.objects.filter(pk=destination.pk, state=CircuitState.OPEN)
    if is_open.exclude(until__lte=Now()).exists():
        return "circuit_open"
    return ""


def _make(replay: Replay) -> list[NewEvent]:
    """Make some deliveries; return one event a task, whose `sync` that changes."""
    lock_heads([replay.workspace_id])
    firsts = deliveries_of(MAKE, [replay.pk, KINDS, LOOK, STEP, ROOM, AHEAD, LONGEST])
    replay.refresh_from_db(fields=["cursor", "made", "skipped", "next_at", "reason"])
    pairs = {(one.destination_id, one.task_id) for one in firsts if one.task_id}
    thinned = go_on(pairs, cause=behalf_of(replay_cause(replay), "delivery"))
    return [*_told(replay, firsts, EventType.TASK_SYNC_SCHEDULED), *thinned]


def _cancel_waiting(replay: Replay) -> tuple[bool, list[NewEvent]]:
    """Cancel what has not gone yet; what is in flight is cancelled if it comes back."""
    lock_heads([replay.workspace_id])
    cancelled = deliveries_of(CANCEL, [str(replay.pk), replay.destination_id, STEP])
    broken = move_on(cancelled)
    replay.cancels_deliveries = _count_open(replay) > 0
    events = _told(replay, cancelled, EventType.TASK_SYNC_CANCELLED)
    return len(cancelled) == STEP, [*events, *broken]


def _told(replay: Replay, deliveries: Sequence[Delivery], kind: EventType) -> list[NewEvent]:
    cause = replay_cause(replay)
    return outcome_events([Told(delivery=one, type=kind, cause=cause) for one in deliveries])


def _count_open(replay: Replay) -> int:
    """Count what has not ended, and note what has."""
    left: int = made_by(replay).filter(state__in=OPEN_STATES).count()
    replay.ended = max(replay.made - left, 0)
    return left


def _progress(replay: Replay, destination: Destination, *, is_news: bool) -> list[NewEvent]:
    """Tell of a change of state at once, of numbers at most once a second."""
    numbers = replay.made + replay.ended
    is_time = (_now(replay) - replay.told_at).total_seconds() >= TELL_EVERY
    if not (is_news or (is_time and numbers != replay.told)):
        return []
    replay.told, replay.told_at = numbers, _now(replay)
    return [progress_event(replay, destination, replay_cause(replay))]


def _now(replay: Replay) -> Any:
    """Return the database's time at which the replay was read."""
    return replay.now  # type: ignore[attr-defined]
