"""Replays: `/api/v1/replays/` and `/api/v1/destinations/{id}/replay/`."""

from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.replay import Selection, cancel_replay, count_replay, create_replay
from tasks_app.api import filters
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.replay_fields import (
    CancelReplaySerializer,
    CountSerializer,
    ReplayDetailSerializer,
    ReplayRequestSerializer,
    ReplaySerializer,
)
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.snapshot import moment, replay_snapshot
from tasks_app.exceptions import FieldError, Invalid, NotFound
from tasks_app.models import Replay, ReplayState
from tasks_app.queries.replay import Chosen, delivery_states
from tasks_app.queries.snapshot import snapshot_at_head

ASKED: Final = ReplayRequestSerializer()
CANCELLED: Final = CancelReplaySerializer()
FILTERS: Final = (
    filters.words("state", ReplayState.values, filters.within("state")),
    filters.ids("destination", "destination_id"),
)
ORDERINGS: Final[Orderings] = {"id": "id"}
ReplayPage: Final = page_of(ReplaySerializer)


class ReplayView(WorkspaceView):
    """Replay events for a destination; watch and cancel that."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.MANAGE_DELIVERIES,
        "cancel": Capability.MANAGE_DELIVERIES,
    }

    @documented(
        "destinations_replay",
        ReplaySerializer,
        request=ReplayRequestSerializer,
        status=202,
        also={200: CountSerializer},
        example={"from_seq": 1, "states": ["dead"], "rate": 50},
    )
    def create(self, request: Request, destination_id: UUID) -> Response:
        """Send events of the past once more, with their old ids and in order per task.

        Choose by `from_seq` and `to_seq`, or `from_time` and `to_time`, or `states`, which may
        narrow a range, or `deliveries`, or `events`.
        """
        fields = ASKED.read_new(request.data)
        rate, is_dry = fields.pop("rate"), fields.pop("dry_run")
        chosen: dict[str, Any] = {
            "workspace_id": self.workspace_id,
            "destination_id": destination_id,
            "selection": _selection(fields),
        }
        if is_dry:
            return Response(_told_count(count_replay(**chosen)))
        replay = create_replay(**chosen, rate=rate, cause=self.cause)
        location = request.build_absolute_uri(f"/api/v1/replays/{replay.pk}/")
        return Response(told_replay(replay), status=202, headers={"Location": location})

    @documented("replays_list", ReplayPage, parameters=filters.parameters(FILTERS))
    def list(self, request: Request) -> Response:
        """List replays, newest first."""
        kept = filters.filtered(request, FILTERS)
        rows = Replay.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, rows, orderings=ORDERINGS, default="-id")
        return listed(found, [told_replay(row) for row in found.rows], head)

    @documented("replays_retrieve", ReplayDetailSerializer)
    def retrieve(self, request: Request, replay_id: UUID) -> Response:
        """Show a replay and what has become of its deliveries."""
        rows = Replay.objects.in_workspace(self.workspace_id)
        with snapshot_at_head(self.workspace_id) as head:
            replay = rows.filter(pk=replay_id).first()
            if replay is None:
                raise NotFound
            states = delivery_states([replay])[replay.pk]
        return shown({**told_replay(replay), "deliveries": states}, head)

    @documented(
        "replays_cancel",
        ReplaySerializer,
        request=CancelReplaySerializer,
        cursor=False,
        conflict="It is over.",
    )
    def cancel(self, request: Request, replay_id: UUID) -> Response:
        """Make no more deliveries, and cancel those that wait if asked to; 409 where it is over."""
        fields = CANCELLED.read_new(request.data)
        replay = cancel_replay(
            workspace_id=self.workspace_id, replay_id=replay_id, cause=self.cause, **fields
        )
        return Response(told_replay(replay))


def told_replay(replay: Replay) -> dict[str, Any]:
    """Return a replay as the API shows it."""
    by_ids = replay.events is not None
    by_time = replay.from_time is not None or replay.to_time is not None
    by_seq = not (by_ids or by_time)
    return {
        **replay_snapshot(replay),
        "rate": replay.rate,
        "selection": {
            "from_seq": replay.from_seq if by_seq else None,
            "to_seq": replay.to_seq if by_seq else None,
            "from_time": moment(replay.from_time),
            "to_time": moment(replay.to_time),
            "states": replay.states,
            "events": len(replay.events) if replay.events is not None else None,
        },
        "created_by": replay.actor["name"],
        "created_at": moment(replay.created_at),
        "ended_at": moment(replay.ended_at),
    }


def _told_count(count: Chosen) -> dict[str, Any]:
    return {
        "dry_run": True,
        "total": count.total,
        "skipped": count.under_way,
        "complete": count.is_whole,
        "counted_to": count.counted_to,
    }


def _selection(fields: dict[str, Any]) -> Selection:
    """Return the one selection that the body makes. Raises Invalid where it makes none or two."""
    ranges = [n for n in ("from_seq", "from_time", "to_seq", "to_time") if n in fields]
    kinds = {name.partition("_")[2] for name in ranges}
    if not fields:
        raise _refused("", "no_selection", "Choose by seq, time, states, deliveries or events.")
    alone = [name for name in ("deliveries", "events") if name in fields]
    if len(kinds) > 1 or (alone and len(fields) > 1):
        extra = alone[-1] if alone else ranges[-1]
        raise _refused(f"/{extra}", "one_selection", "Choose in one way only.")
    for kind in kinds:
        first, last = fields.get(f"from_{kind}"), fields.get(f"to_{kind}")
        if first is not None and last is not None and first > last:
            raise _refused(f"/to_{kind}", "out_of_range", "The range ends before it begins.")
    return Selection(**fields)


def _refused(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError(pointer, code, detail),))
