"""What a replay is asked by and how it is told: the bodies of `/api/v1/replays/`."""

import re
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers

from tasks_app.actions.replay import RATE_MAX
from tasks_app.api.fields import (
    Distinct,
    Flag,
    Id,
    Items,
    Moment,
    StrictSerializer,
    Text,
    WholeNumber,
    Word,
)
from tasks_app.models import DeliveryState, ReplayState
from tasks_app.models.delivery import OPEN_STATES

IDS_MAX: Final = 10_000
ENDED: Final = [state for state in DeliveryState.values if state not in OPEN_STATES]


class EventId(Text):
    """An event's id as the log shows it."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the row's id."""
        if not re.fullmatch("evt_[0-9a-f]{32}", data):
            self.fail("invalid")
        return UUID(data.removeprefix("evt_"))


class ReplayRequestSerializer(StrictSerializer):
    """What to send once more: one range by seq or by time, states within it, or ids."""

    from_seq = WholeNumber(required=False, min_value=1)
    to_seq = WholeNumber(required=False, min_value=1, help_text="Inclusive; the head if left out.")
    from_time = Moment(required=False)
    to_time = Moment(required=False)
    states = Distinct(
        required=False,
        child=Word(choices=ENDED),
        allow_empty=False,
        max_length=len(ENDED),
        help_text="Only events whose newest delivery ended so; alone, or within a range.",
    )
    deliveries = Items(required=False, child=Id(), allow_empty=False, max_length=IDS_MAX)
    events = Items(required=False, child=EventId(), allow_empty=False, max_length=IDS_MAX)
    rate = WholeNumber(
        default=None, allow_null=True, min_value=1, max_value=RATE_MAX, help_text="A second."
    )
    dry_run = Flag(default=False, help_text="Count only: 200 with `total`, and nothing is sent.")


class CancelReplaySerializer(StrictSerializer):
    """What becomes of deliveries that were made and have not gone yet."""

    cancel_waiting = Flag(default=False, help_text="Cancel them too.")


class CountSerializer(serializers.Serializer[Any]):
    """What a dry run found."""

    dry_run = serializers.BooleanField()
    total = serializers.IntegerField(help_text="Deliveries that the replay would make.")
    skipped = serializers.IntegerField(help_text="Events whose delivery is under way already.")
    complete = serializers.BooleanField(help_text="False: it stopped counting after 10 s.")
    counted_to = serializers.IntegerField(help_text="The seq up to which it counted.")


class SelectionSerializer(serializers.Serializer[Any]):
    """What was chosen; of ids their number."""

    from_seq = serializers.IntegerField(allow_null=True)
    to_seq = serializers.IntegerField(allow_null=True)
    from_time = serializers.DateTimeField(allow_null=True)
    to_time = serializers.DateTimeField(allow_null=True)
    states = serializers.ListField(child=serializers.ChoiceField(choices=ENDED))
    events = serializers.IntegerField(allow_null=True)


class ReplaySerializer(serializers.Serializer[Any]):
    """Events of the past, once more for one destination."""

    id = serializers.UUIDField(help_text="`webhook-replay` of its deliveries.")
    destination = serializers.UUIDField()
    state = serializers.ChoiceField(choices=ReplayState.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why it waits or was cancelled.")
    total = serializers.IntegerField(allow_null=True, help_text="As counted at its beginning.")
    made = serializers.IntegerField(help_text="Deliveries made so far.")
    ended = serializers.IntegerField(help_text="Of those, how many have ended.")
    skipped = serializers.IntegerField(help_text="Events whose delivery was under way already.")
    rate = serializers.IntegerField(allow_null=True)
    selection = SelectionSerializer()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ReplayDetailSerializer(ReplaySerializer):
    """A replay, and what has become of its deliveries."""

    deliveries = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many are in which state."
    )
