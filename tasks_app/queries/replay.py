"""What a replay would send, counted before it does: the log is read a part at a time."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import connection
from django.db.models import Count

from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.models import Delivery, Event, Replay

KINDS: Final = sorted(SUBSCRIBABLE)
LOOK: Final = 5000  # rows of the log in one statement
LONGEST: Final = 5000
"""Chosen events of one task: it goes in whole, in one transaction that keeps its workspace."""

_CHOOSING: Final = (
    *("workspace_id", "destination_id", "from_seq", "to_seq", "cursor"),
    *("events", "from_time", "to_time", "states"),
)
_COUNT: Final = """
    SELECT reached, chosen, under_way, longest FROM aftercommit_replay_count(
        jsonb_populate_record(NULL::replay, %s::jsonb), %s::text[], %s::integer)
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How many deliveries a replay would make, and how many events are still under way."""

    total: int
    under_way: int
    counted_to: int
    """The seq up to which they were counted."""
    is_whole: bool
    longest: int
    """How many of them are of one task, at most."""


def count_chosen(replay: Replay, *, seconds: float) -> Chosen:
    """Count without doing anything, for about so many seconds at most."""
    ends = time.monotonic() + seconds
    spec: dict[str, Any] = {name: getattr(replay, name) for name in _CHOOSING}
    total = under_way = longest = 0
    while spec["cursor"] < replay.to_seq and time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [orjson.dumps(spec).decode(), KINDS, LOOK])
            spec["cursor"], chosen, open_ones, most = cursor.fetchone()
        total, under_way, longest = total + chosen, under_way + open_ones, max(longest, most)
    return Chosen(total, under_way, spec["cursor"], spec["cursor"] >= replay.to_seq, longest)


def seq_at(workspace_id: uuid.UUID, moment: datetime, *, head: int) -> int:
    """Return about the first seq that was recorded at ``moment`` or later; head + 1 for none.

    By halves: a log is dense, and its times rise but for the seconds that a writer waited.
    """
    low, high = 1, head + 1
    rows = Event.objects.in_workspace(workspace_id)
    while low < high:
        middle = (low + high) // 2
        after = rows.filter(seq__gte=middle).order_by("seq")
        at = after.values_list("at", flat=True).first()
        if at is None or at >= moment:
            high = middle
        else:
            low = middle + 1
    return low


def delivery_states(replays: Iterable[Replay]) -> dict[uuid.UUID, dict[str, int]]:
    """Return how many of each replay's deliveries are in which state."""
    found: dict[uuid.UUID, dict[str, int]] = {}
    for replay in replays:
        rows = made_by(replay).values_list("state").annotate(number=Count("id")).order_by("state")
        found[replay.pk] = dict(rows)
    return found


def made_by(replay: Replay) -> Any:
    """Return the deliveries that a replay has made."""
    # The second condition is the index's own (delivery_of_replay).
    return Delivery.objects.filter(
        replay=str(replay.pk), replay__gt="", destination_id=replay.destination_id
    )
