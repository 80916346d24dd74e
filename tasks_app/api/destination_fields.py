"""What a destination is over HTTP: the fields that are taken and told, and who sees which."""

from collections import abc
from typing import Any, Final
from urllib.parse import urlsplit

from rest_framework import serializers

from tasks_app.actions.destination_kind import signs
from tasks_app.actions.destination_secrets import told_headers
from tasks_app.api.credential_fields import Auth, Tls
from tasks_app.api.fields import (
    Distinct,
    Id,
    Items,
    Line,
    StrictSerializer,
    Text,
    WholeNumber,
    Word,
)
from tasks_app.api.outbound_fields import KINDS, Headers, Mapping, Url
from tasks_app.api.rate_limit_field import RateLimit
from tasks_app.connectors.registry import methods
from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.events.snapshot import moment
from tasks_app.models import CircuitState, Destination, DestinationState
from tasks_app.models.destination import (
    DestinationMode,
    SignatureScheme,
    default_events,
    default_retry_schedule,
)
from tasks_app.queries.backlog import Backlog
from tasks_app.security.masking import MASK

RETRIES_MAX: Final = 30
RETRY_SECONDS_MAX: Final = 4 * 24 * 3600
# These move by themselves between a client's reading and writing.
RESTLESS: Final = ("pending", "oldest_due_at", "blocked_until", "circuit", "circuit_until")


class DestinationSerializer(StrictSerializer):
    """An external system that wants to know."""

    id = serializers.UUIDField(read_only=True)
    name = Line(max_length=100)
    kind = Word(choices=KINDS, default="webhook")
    url = Url(max_length=2048, help_text="Without its path for who may not manage destinations.")
    method = Word(
        choices=methods(),
        required=False,
        allow_null=True,
        help_text="Of a webhook POST; of a rest mirror how it changes a twin, PUT or PATCH.",
    )
    mapping = Mapping(
        default=None,
        allow_null=True,
        help_text="JMESPath over the event: what is sent in place of the kind's own body.",
    )
    twin_id_path = Text(
        max_length=200,
        required=False,
        allow_null=True,
        help_text="JMESPath over the answer: where a rest mirror finds a new twin's id.",
    )
    headers = Headers(
        default=dict,
        help_text=f"Shown to who manages it: secrets belong into auth. {MASK} keeps what is there.",
    )
    auth = Auth(default=None, allow_null=True)
    tls = Tls(default=None, allow_null=True)
    signature = Word(
        choices=SignatureScheme.values,
        default=SignatureScheme.V1,
        allow_null=True,
        help_text=(
            "Null for a kind that signs nothing. Standard Webhooks: v1 by `secret`, v1a by"
            " `public_key`, or both at once."
        ),
    )
    public_key = serializers.CharField(read_only=True, allow_null=True)
    old_public_key = serializers.CharField(
        read_only=True, allow_null=True, help_text="Signs too until old_secret_expires_at."
    )
    events = Distinct(
        child=Word(choices=["*", *sorted(SUBSCRIBABLE)]),
        default=default_events,
        allow_empty=False,
        max_length=20,
    )
    after = Id(
        default=None,
        allow_null=True,
        help_text="A destination that must have an event before this one gets it.",
    )
    mode = Word(
        choices=DestinationMode.values,
        default=DestinationMode.EVERY,
        help_text="latest: of several states of a task that wait, only the newest is sent.",
    )
    max_concurrency = WholeNumber(min_value=1, max_value=100, default=10)
    rate_limit = RateLimit(
        default=None, allow_null=True, help_text="What is over it waits and spends no attempt."
    )
    timeout = WholeNumber(min_value=1, max_value=60, default=15, help_text="Seconds, all in all.")
    retry_schedule = Items(
        child=WholeNumber(min_value=1, max_value=RETRY_SECONDS_MAX),
        default=default_retry_schedule,
        max_length=RETRIES_MAX,
        help_text="Seconds between attempts.",
    )
    state = serializers.ChoiceField(choices=DestinationState.choices, read_only=True)
    paused_reason = serializers.CharField(read_only=True)
    pending = serializers.IntegerField(read_only=True, help_text="Deliveries under way.")
    oldest_due_at = serializers.DateTimeField(read_only=True, allow_null=True)
    blocked_until = serializers.DateTimeField(read_only=True, allow_null=True)
    circuit = serializers.ChoiceField(
        choices=CircuitState.choices,
        read_only=True,
        help_text="Open: left alone after failures; probing: one request tries; ramping: up again.",
    )
    circuit_until = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When an open circuit is probed next."
    )
    old_secret_expires_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


class DestinationWithSecretSerializer(DestinationSerializer):
    """A destination at the only moment that its secret is known."""

    secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="Null for a kind that signs nothing."
    )


WHOLE: Final = DestinationSerializer()
PART: Final = DestinationSerializer(partial=True)


def told_destination(destination: Destination, backlog: Backlog) -> dict[str, Any]:
    """Return a destination as who manages it is shown it: all but its secrets."""
    return {
        "id": str(destination.pk),
        "name": destination.name,
        "kind": destination.kind,
        "url": destination.url,
        "method": destination.method or None,
        "mapping": destination.mapping or None,
        "twin_id_path": destination.twin_id_path or None,
        "headers": told_headers(destination),
        "auth": destination.auth,
        "tls": destination.tls,
        "signature": destination.signature if signs(destination.kind) else None,
        "public_key": destination.public_key or None,
        "old_public_key": destination.old_public_key or None,
        "events": destination.events,
        "after": str(destination.after) if destination.after else None,
        "mode": destination.mode,
        "max_concurrency": destination.max_concurrency,
        "rate_limit": destination.rate_limit,
        "timeout": destination.timeout,
        "retry_schedule": destination.retry_schedule,
        "state": destination.state,
        "paused_reason": destination.paused_reason,
        "pending": backlog.pending,
        "oldest_due_at": moment(backlog.oldest_due_at),
        "blocked_until": moment(destination.blocked_until),
        "circuit": backlog.circuit,
        "circuit_until": moment(backlog.circuit_until),
        "old_secret_expires_at": moment(destination.old_secret_expires_at),
        "created_at": moment(destination.created_at),
        "updated_at": moment(destination.updated_at),
    }


def masked(told: abc.Mapping[str, Any]) -> dict[str, Any]:
    """Hide where tokens live: paths, queries and headers of other people's systems."""
    parts = urlsplit(told["url"])
    where = f"//{parts.netloc}/" if parts.netloc else MASK
    return {
        **told,
        "url": f"{parts.scheme}:{where}",
        "headers": dict.fromkeys(told["headers"], MASK),
        "auth": told["auth"] and _hidden(told["auth"]),
        "tls": told["tls"] and {name: pem and MASK for name, pem in told["tls"].items()},
    }


def _hidden(auth: abc.Mapping[str, Any]) -> dict[str, Any]:
    """Return nothing but the type and which parts are set."""
    return {
        name: value if name == "type" else dict.fromkeys(value, MASK) if name == "headers" else MASK
        for name, value in auth.items()
    }
