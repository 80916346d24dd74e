"""Reconciliation: `destinations/{id}/deliveries/`, so that a receiver can prove it has all."""

from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.api import filters
from tasks_app.api.delivery import DeliveryPage, told_deliveries
from tasks_app.api.pagination import Orderings, page, refused, within_limit
from tasks_app.api.schema import documented
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.exceptions import NotFound
from tasks_app.models import Delivery, DeliveryState, Destination
from tasks_app.models.delivery import OPEN_STATES
from tasks_app.queries.kept import first_sequence
from tasks_app.queries.reconciliation import Window, last_sequence, windows
from tasks_app.queries.snapshot import snapshot_at_head

WINDOW: Final = 1000
WINDOW_MAX: Final = 10_000
ROWS_MAX: Final = 100_000  # of all windows on a page
NEVER: Final = [state for state in DeliveryState.values if state not in {*OPEN_STATES, "succeeded"}]

AFTER: Final = filters.numbers(
    "after", lambda values: Q(sequence__gt=max(values)), "Only what has a greater sequence."
)
DIGEST_FILTERS: Final = (
    AFTER,
    filters.numbers("until", lambda _: Q(), "The last sequence; that given out last if left out."),
    filters.numbers("window", lambda _: Q(), f"Sequences in a window: 1 to {WINDOW_MAX}."),
)
ORDERINGS: Final[Orderings] = {"sequence": "sequence"}


class NeverSerializer(serializers.Serializer[Any]):
    """A delivery that ended without having been delivered."""

    sequence = serializers.IntegerField()
    state = serializers.ChoiceField(choices=NEVER)


class WindowSerializer(serializers.Serializer[Any]):
    """The deliveries with `after` < sequence ≤ `until`."""

    after = serializers.IntegerField()
    until = serializers.IntegerField()
    delivered = serializers.IntegerField()
    sha256 = serializers.CharField(
        help_text="Over `<sequence> <webhook-id>` and a line feed for each that was delivered."
    )
    never = NeverSerializer(many=True)
    under_way = serializers.ListField(child=serializers.IntegerField())
    forgotten = serializers.IntegerField(
        help_text="How many are no longer kept; `sha256` is without them."
    )


class DigestSerializer(serializers.Serializer[Any]):
    """Windows in their order, and where the next page begins."""

    next = serializers.URLField(allow_null=True)
    head = serializers.IntegerField(help_text="The webhook-sequence given out last.")
    kept_from = serializers.IntegerField(
        help_text="The lowest webhook-sequence that is kept; windows begin there at the earliest."
    )
    results = WindowSerializer(many=True)


class ReconciliationView(WorkspaceView):
    """All deliveries of one destination, in the order of their sequence."""

    capabilities = {"list": Capability.READ, "digest": Capability.READ}

    @documented("destinations_deliveries", DeliveryPage, parameters=filters.parameters((AFTER,)))
    def list(self, request: Request, destination_id: UUID) -> Response:
        """List a destination's deliveries by webhook-sequence, without a gap."""
        kept = filters.filtered(request, (AFTER,))
        rows = Delivery.objects.filter(kept, destination_id=destination_id)
        with snapshot_at_head(self.workspace_id) as head:
            self._check(destination_id)
            found = page(request, rows, orderings=ORDERINGS, default="sequence")
        return listed(found, told_deliveries(found.rows), head)

    @documented(
        "destinations_deliveries_digest",
        DigestSerializer,
        parameters=[p for p in filters.parameters(DIGEST_FILTERS) if p.name != "cursor"],
    )
    def digest(self, request: Request, destination_id: UUID) -> Response:
        """Sum up what was delivered, a window of sequences at a time."""
        filters.filtered(request, DIGEST_FILTERS)
        after, window = _number(request, "after", 0), _number(request, "window", WINDOW)
        if not 1 <= window <= WINDOW_MAX:
            raise refused("window", "out_of_range", f"window is a number from 1 to {WINDOW_MAX}.")
        with snapshot_at_head(self.workspace_id) as head:
            self._check(destination_id)
            last = last_sequence(destination_id)
            first = first_sequence(destination_id) or last + 1
            after = max(after, first - 1)
            until = min(_number(request, "until", last), last)
            reach = window * max(1, min(within_limit(request), ROWS_MAX // window))
            ends = min(until, after + reach)
            found = windows(destination_id, after=after, until=ends, window=window)
        body = {
            "next": _next(request, ends) if ends < until else None,
            "head": last,
            "kept_from": first,
            "results": [_told(one) for one in found],
        }
        return shown(body, head)

    def _check(self, destination_id: UUID) -> None:
        rows = Destination.objects.in_workspace(self.workspace_id)
        if not rows.filter(pk=destination_id).exists():
            raise NotFound


def _number(request: Request, name: str, default: int) -> int:
    return int(request.query_params.get(name, default))


def _next(request: Request, after: int) -> str:
    query = request.query_params.copy()
    query["after"] = str(after)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _told(one: Window) -> dict[str, Any]:
    return {
        "after": one.after,
        "until": one.until,
        "delivered": one.delivered,
        "sha256": one.sha256,
        "never": [{"sequence": sequence, "state": state} for sequence, state in one.never],
        "under_way": one.under_way,
        "forgotten": one.forgotten,
    }
