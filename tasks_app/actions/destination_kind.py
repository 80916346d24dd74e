"""What a destination of each kind may set: its connector says, and everything else is refused.

Also the mapping is tried here, before it is saved: an expression that gives nothing for the last
event that the destination would have got is a mistake now, not a fault of every delivery.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tasks_app.connectors.base import Connector
from tasks_app.connectors.mapping import MappingError, compiled
from tasks_app.connectors.registry import connector_for
from tasks_app.connectors.sample import sample_event
from tasks_app.events.catalogue import SUBSCRIBABLE, EventType
from tasks_app.events.snapshot import moment
from tasks_app.events.wire import event_to_wire
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.models import Destination, Twin
from tasks_app.queries.last_event import event_at, last_event

DEFAULT_ID_PATH: Final = "id"
UNSET: Final[Mapping[str, Any]] = {
    "headers": {},
    "auth": None,
    "tls": None,
    "signature": "v1",
    "mapping": None,
    "twin_id_path": None,
}
"""The optional settings, and what each is while it is not used."""


def settle_new(*, workspace_id: uuid.UUID, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new destination with its kind's defaults. Raises Invalid."""
    connector = connector_for(fields.get("kind", "webhook"))
    settled = _stored(connector, {"method": None, "mapping": None, "twin_id_path": None, **fields})
    _refuse([*_misfits(connector, fields), *_wrong(connector, settled)])
    events = settled.get("events", ["*"])
    try_mapping(
        workspace_id=workspace_id, connector=connector, mapping=settled["mapping"], events=events
    )
    return settled


def settle_change(destination: Destination, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changed fields as they are kept. Raises Invalid.

    The destination's row is locked: nothing is leased meanwhile.
    """
    if fields.get("kind", destination.kind) != destination.kind:
        raise Invalid(errors=(_KIND_STAYS,))
    connector = connector_for(destination.kind)
    settled = _stored(connector, fields)
    wrong = [*_misfits(connector, fields), *_wrong(connector, settled)]
    if settled.get("url", destination.url) != destination.url and _has_twins(destination):
        wrong.append(_HAS_TWINS)
    _refuse(wrong)
    if {"mapping", "events"} & settled.keys():
        try_mapping(
            workspace_id=destination.workspace_id,
            connector=connector,
            mapping=settled.get("mapping", destination.mapping),
            events=settled.get("events", destination.events),
        )
    return settled


def try_mapping(
    *, workspace_id: uuid.UUID, connector: Connector, mapping: str, events: Sequence[str]
) -> None:
    """Try a mapping on the last event the destination would have got. Raises Invalid."""
    if not mapping:
        return
    event = event_to_try(workspace_id=workspace_id, events=events)
    try:
        connector.compose(event, mapping=mapping)
    except MappingError as error:
        what = f"event {event['seq']}" if "seq" in event else "a sample"
        detail = f"Tried on {what} ({event['type']}): {error}"
        raise Invalid(errors=(FieldError("/mapping", "mapping_failed", detail),)) from error


def event_to_try(
    *, workspace_id: uuid.UUID, events: Sequence[str], seq: int | None = None
) -> dict[str, Any]:
    """Return the event with this seq, or the last one that is wanted, or else a sample.

    A sample has no seq. Raises Invalid where there is no event with this seq.
    """
    wanted = sorted(SUBSCRIBABLE if "*" in events else SUBSCRIBABLE & set(events))
    if seq is not None:
        found = event_at(workspace_id=workspace_id, seq=seq, types=sorted(SUBSCRIBABLE))
        if found is None:
            raise Invalid(errors=(_NO_SUCH_EVENT,))
        return event_to_wire(found)
    last = last_event(workspace_id=workspace_id, types=wanted)
    return event_to_wire(last) if last is not None else _sample(wanted)


def _sample(wanted: Sequence[str]) -> dict[str, Any]:
    kind = EventType.TASK_CREATED
    return sample_event(kind if kind in wanted or not wanted else wanted[0])


def read_only_of(destination: Destination) -> dict[str, Any]:
    """Return what nobody sets, as the API tells it: a client may send it back unchanged."""
    return {
        "id": str(destination.pk),
        "state": destination.state,
        "paused_reason": destination.paused_reason,
        "blocked_until": moment(destination.blocked_until),
        "old_secret_expires_at": moment(destination.old_secret_expires_at),
        "public_key": destination.public_key or None,
        "old_public_key": destination.old_public_key or None,
        "created_at": moment(destination.created_at),
        "updated_at": moment(destination.updated_at),
    }


def signs(kind: str) -> bool:
    """Tell whether a destination of this kind has a secret: what it sends is signed."""
    return "signature" in connector_for(kind).options


def refuse_misfit(connector: Connector, fields: Mapping[str, Any]) -> None:
    """Raise Invalid where a kind has no use for what is given."""
    _refuse(list(_misfits(connector, fields)))


def _stored(connector: Connector, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as the row keeps them: an empty text where the API says null."""
    defaults = {
        "method": connector.methods[0] if connector.methods else "",
        "mapping": "",
        "twin_id_path": DEFAULT_ID_PATH if connector.mirrors else "",
        "signature": UNSET["signature"],
    }
    return {
        name: defaults[name] if value is None and name in defaults else value
        for name, value in fields.items()
    }


def _misfits(connector: Connector, fields: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what this kind has no use for."""
    for name, unset in UNSET.items():
        if name not in connector.options and fields.get(name, unset) not in (unset, "", None):
            yield _misfit(name, connector)
    if not connector.methods and fields.get("method"):
        yield _misfit("method", connector)


def _misfit(name: str, connector: Connector) -> FieldError:
    detail = f"A destination of kind {connector.kind} has no {name}."
    return FieldError(f"/{name}", "not_for_this_kind", detail)


def _wrong(connector: Connector, settled: Mapping[str, Any]) -> Iterator[FieldError]:
    if connector.methods and settled.get("method", connector.methods[0]) not in connector.methods:
        detail = f"A {connector.kind} sends {' or '.join(connector.methods)}."
        yield FieldError("/method", "invalid_choice", detail)
    for name in ("mapping", "twin_id_path"):
        try:
            if settled.get(name) and name in connector.options:
                compiled(settled[name])
        except MappingError as error:
            yield FieldError(f"/{name}", "bad_expression", str(error))
    try:
        if "url" in settled:
            connector.check_address(settled["url"])
    except ValueError as error:
        yield FieldError("/url", "wrong_address", str(error))


def _refuse(wrong: Sequence[FieldError]) -> None:
    if wrong:
        raise Invalid(errors=tuple(wrong))


def _has_twins(destination: Destination) -> bool:
    return Twin.objects.filter(destination=destination).exists()


_KIND_STAYS: Final = FieldError(
    "/kind", "kind_stays", "A destination keeps its kind: make another."
)
_HAS_TWINS: Final = FieldError(
    "/url",
    "has_twins",
    "The ids of its twins mean nothing at another address, or something else: make another.",
)
_NO_SUCH_EVENT: Final = FieldError(
    "/event", "not_found", "No event of a task has this seq, or it is kept no longer."
)
