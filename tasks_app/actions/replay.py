"""Replays: choose events of the past for one destination, count them, send them, stop that.

A replay is a row; the sweep walks it (delivery/replaying.py). Lock order: the replay's row, then
the head.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.events.cause import Cause
from tasks_app.events.progress import progress_event
from tasks_app.events.record import lock_heads, record_event
from tasks_app.exceptions import FieldError, Invalid, LimitReached, NotFound, ReplayOver
from tasks_app.models import Delivery, Destination, Event, Replay, ReplayState, WorkspaceHead
from tasks_app.queries.kept import kept_from
from tasks_app.queries.replay import LONGEST, Chosen, count_chosen, seq_at

COUNTING_SECONDS: Final = 2.0  # a replay whose total takes longer begins without one
DRY_RUN_SECONDS: Final = 10.0  # a dry run that takes longer says how far it came
CLOCK_SLACK: Final = timedelta(hours=1)  # the log's times may be out of order by less
ERRORS_SHOWN: Final = 20
RATE_MAX: Final = 10_000  # deliveries a second
OPEN_MAX: Final = 100  # of a workspace, waiting ones too


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to replay: a range by seq or by time, narrowed by states or not; or ids."""

    from_seq: int | None = None
    to_seq: int | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    states: Sequence[str] = ()
    deliveries: Sequence[uuid.UUID] | None = None
    events: Sequence[uuid.UUID] | None = None


def create_replay(
    *,
    workspace_id: uuid.UUID,
    destination_id: uuid.UUID,
    selection: Selection,
    cause: Cause,
    rate: int | None = None,
) -> Replay:
    """Begin a replay; the sweep makes its deliveries, ``rate`` a second at most.

    Raises NotFound, Invalid where an id is unknown or no longer kept or the rate is none, and
    LimitReached where 100 are under way.
    """
    _check_rate(rate)
    replay, destination = _planned(workspace_id, destination_id, selection)
    chosen = _counted(replay, seconds=COUNTING_SECONDS)
    replay.total = chosen.total if chosen.is_whole else None
    replay.rate, replay.actor, replay.request_id = rate, cause.actor, cause.request_id
    with transaction.atomic():
        _keep_from(replay)
        _refuse_one_more(workspace_id)
        replay.save(force_insert=True)
        record_event(progress_event(replay, destination, cause))
        replay.refresh_from_db()
    return replay


def _check_rate(rate: int | None) -> None:
    if rate is not None and not 1 <= rate <= RATE_MAX:
        detail = f"A rate is 1 to {RATE_MAX:,} deliveries a second."
        raise Invalid(detail, errors=(FieldError("/rate", "out_of_range", detail),))


def count_replay(
    *, workspace_id: uuid.UUID, destination_id: uuid.UUID, selection: Selection
) -> Chosen:
    """Count what a replay would send if it began now. Raises NotFound and Invalid as above."""
    replay, _ = _planned(workspace_id, destination_id, selection)
    return _counted(replay, seconds=DRY_RUN_SECONDS)


def _counted(replay: Replay, *, seconds: float) -> Chosen:
    """Count; raise Invalid where one task has more of it than go in at once."""
    chosen = count_chosen(replay, seconds=seconds)
    if chosen.longest > LONGEST:
        detail = f"More than {LONGEST:,} of these events are of one task: choose a smaller range."
        raise Invalid(errors=(FieldError("", "task_too_long", detail),))
    return chosen


@transaction.atomic
def cancel_replay(
    *, workspace_id: uuid.UUID, replay_id: uuid.UUID, cancel_waiting: bool, cause: Cause
) -> Replay:
    """Make no more deliveries, and with ``cancel_waiting`` cancel those that have not gone yet.

    Raises NotFound, and ReplayOver where nothing is left to stop.
    """
    rows = Replay.objects.in_workspace(workspace_id).select_for_update(no_key=True, of=("self",))
    replay = rows.select_related("destination").filter(pk=replay_id).first()
    if replay is None:
        raise NotFound
    is_over = replay.state in {ReplayState.DONE, ReplayState.CANCELLED}
    if is_over and not (cancel_waiting and replay.state == ReplayState.CANCELLED):
        raise ReplayOver
    replay.state, replay.reason = ReplayState.CANCELLED, "by_hand"
    replay.cancels_deliveries = replay.cancels_deliveries or cancel_waiting
    replay.ended_at = Now() if replay.ended_at is None else replay.ended_at
    replay.save()
    replay.refresh_from_db()
    record_event(progress_event(replay, replay.destination, cause))
    return replay


def _planned(
    workspace_id: uuid.UUID, destination_id: uuid.UUID, selection: Selection
) -> tuple[Replay, Destination]:
    """Return a replay that is not saved yet, and its destination."""
    rows = Destination.objects.in_workspace(workspace_id)
    destination = rows.filter(pk=destination_id).first()
    if destination is None:
        raise NotFound
    head = WorkspaceHead.objects.values_list("seq", flat=True).get(pk=workspace_id)
    seqs = _named(destination, selection)
    if seqs is None:
        first, last = _range(workspace_id, selection, head)
    else:
        first, last = (min(seqs), max(seqs)) if seqs else (1, 0)
    return Replay(
        workspace_id=workspace_id,
        destination=destination,
        from_seq=first,
        to_seq=last,
        cursor=first - 1,
        events=seqs,
        from_time=selection.from_time,
        to_time=selection.to_time,
        states=list(selection.states),
    ), destination


def _keep_from(replay: Replay) -> None:
    """Leave out what retention has cut off meanwhile; with the head held it cuts off no more.

    Raises Invalid where that was named.
    """
    lock_heads([replay.workspace_id])
    floor = kept_from(replay.workspace_id)
    if replay.events and min(replay.events) < floor:
        raise _cut_off([""], floor)
    replay.from_seq = max(replay.from_seq, floor)
    replay.cursor = replay.from_seq - 1


def _refuse_one_more(workspace_id: uuid.UUID) -> None:
    """Refuse the one that is too many; the head is held, so that of several none slips by."""
    under_way = [ReplayState.RUNNING, ReplayState.WAITING]
    if Replay.objects.in_workspace(workspace_id).filter(state__in=under_way).count() >= OPEN_MAX:
        detail = f"A workspace has at most {OPEN_MAX} replays under way: cancel one, or wait."
        raise LimitReached(detail)


def _range(workspace_id: uuid.UUID, selection: Selection, head: int) -> tuple[int, int]:
    """Return the part of the log to walk: the range itself, or all that can be within the times.

    Raises Invalid where the range is to begin with what is no longer kept.
    """
    floor = kept_from(workspace_id)
    if selection.from_seq is not None and selection.from_seq < floor:
        raise _cut_off(["/from_seq"], floor)
    first, last = selection.from_seq or floor, min(head, selection.to_seq or head)
    if selection.from_time is not None:
        at = seq_at(workspace_id, selection.from_time - CLOCK_SLACK, head=head)
        first = max(floor, at)
    if selection.to_time is not None:
        last = min(head, seq_at(workspace_id, selection.to_time + CLOCK_SLACK, head=head))
    return first, max(last, first - 1)


def _named(destination: Destination, selection: Selection) -> list[int] | None:
    """Return the events that the selection names, or None where it names a range."""
    if selection.deliveries is not None:
        rows = Delivery.objects.filter(destination=destination, task_id__isnull=False)
        found = dict(rows.filter(pk__in=selection.deliveries).values_list("pk", "event_seq"))
        return _all_there("deliveries", selection.deliveries, found, destination.workspace_id)
    if selection.events is not None:
        told = Event.objects.in_workspace(destination.workspace_id).filter(type__in=SUBSCRIBABLE)
        found = dict(told.filter(pk__in=selection.events).values_list("pk", "seq"))
        return _all_there("events", selection.events, found, destination.workspace_id)
    return None


def _cut_off(pointers: Sequence[str], floor: int) -> Invalid:
    detail = f"The log is kept from seq {floor} on."
    return Invalid(
        errors=tuple(FieldError(one, "no_longer_kept", detail) for one in pointers[:ERRORS_SHOWN])
    )


def _all_there(
    name: str,
    wanted: Sequence[uuid.UUID],
    found: Mapping[uuid.UUID, int],
    workspace_id: uuid.UUID,
) -> list[int]:
    """Return the events' seqs. Raises Invalid where one is unknown, or is no longer kept."""
    seqs, floor = _all_found(name, wanted, found), kept_from(workspace_id)
    if seqs and seqs[0] < floor:
        old = [number for number, pk in enumerate(wanted) if found[pk] < floor]
        raise _cut_off([f"/{name}/{number}" for number in old], floor)
    return seqs


def _all_found(name: str, wanted: Sequence[uuid.UUID], found: Mapping[uuid.UUID, int]) -> list[int]:
    missing = [number for number, pk in enumerate(wanted) if pk not in found]
    if missing:
        detail = (
            "This destination has no such delivery."
            if name == "deliveries"
            else ("There is no such event that destinations hear of.")
        )
        raise Invalid(
            errors=tuple(
                FieldError(f"/{name}/{number}", "not_found", detail)
                for number in missing[:ERRORS_SHOWN]
            )
        )
    return sorted(set(found.values()))
