"""Destinations: create, change, delete, pause, resume, rotate the secret, test.

Each is one transaction that ends in the log. Lock order: the destination's row, then the head.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tasks_app.actions.chain import check_chain, set_free
from tasks_app.actions.destination_kind import read_only_of, settle_change, settle_new, signs
from tasks_app.actions.destination_secrets import FORGOTTEN, SEALED, take_sealed
from tasks_app.actions.echoed import NOTHING, differ, refuse_changed
from tasks_app.actions.signing_keys import first_key, next_key
from tasks_app.actions.taken import refused_where_taken
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent, Recorded, lock_heads, record_event
from tasks_app.events.snapshot import destination_snapshot
from tasks_app.exceptions import Conflict, NotFound
from tasks_app.models import Circuit, Delivery, Destination, DestinationCounter, DestinationState
from tasks_app.models.sealed import if_it_opens, seal_secret
from tasks_app.security.signing import new_secret

OLD_SECRET_LIVES: Final = timedelta(hours=24)

_NAME_TAKEN: Final = ("destination_name_once", "/name", "Another destination has this name.")


def create_destination(
    *, workspace_id: uuid.UUID, fields: Mapping[str, Any], cause: Cause, secret: str = ""
) -> tuple[Destination, str]:
    """Create a destination; return it with its secret, in plain this once; none if it never signs.

    Raises Invalid where the name is taken, certificates are bad, it can't come ``after`` that or
    its kind has no such setting.
    """
    fields = settle_new(workspace_id=workspace_id, fields=fields)
    plain = secret or new_secret()
    own = {name: value for name, value in fields.items() if name not in SEALED}
    destination = Destination(workspace_id=workspace_id, **own)
    destination.updated_at = destination.created_at
    for columns in (*take_sealed(destination, fields).values(), first_key(destination)):
        _put(destination, columns)
    destination.sealed_secret = seal_secret(destination_id=destination.pk, plain=plain)
    with refused_where_taken(*_NAME_TAKEN), transaction.atomic():
        destination.save(force_insert=True)
        DestinationCounter.objects.create(destination_id=destination.pk)
        check_chain(destination)
        _record(destination, EventType.DESTINATION_CREATED, cause)
    return destination, plain if signs(destination.kind) else ""


def change_destination(
    *,
    workspace_id: uuid.UUID,
    destination_id: uuid.UUID,
    fields: Mapping[str, Any],
    cause: Cause,
    echoed: Mapping[str, Any] = NOTHING,
) -> Destination:
    """Change a destination; a change that changes nothing is not an event.

    Deliveries that wait go out by the new settings; with another ``after`` they no longer wait
    for the old one. Raises NotFound, and Invalid where the name is taken, the chain is a circle,
    a read-only field that the caller sent back differs, a secret has to be given anew or
    certificates are bad.
    """
    with refused_where_taken(*_NAME_TAKEN), transaction.atomic():
        destination = locked_destination(workspace_id, destination_id)
        refuse_changed(read_only_of(destination), echoed)
        fields = settle_change(destination, fields)
        sealed = take_sealed(destination, fields)
        own = {
            n: v
            for n, v in fields.items()
            if n not in SEALED and differ(getattr(destination, n), v)
        }
        changed = sorted([*own, *sealed])
        if changed:
            _put(destination, own)
            columns = [own, *sealed.values(), first_key(destination)]
            _save(destination, **{n: v for each in columns for n, v in each.items()})
            if "after" in own:
                check_chain(destination)
                set_free(destination)
            _probe_at_once(destination)
            _record(destination, EventType.DESTINATION_CHANGED, cause, changed=changed)
    return destination


def delete_destination(*, workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause) -> None:
    """Delete a destination; the sweep then cancels what waits for it, and the log says so.

    So it does with what waits behind that in a chain; destinations that came after it come after
    none from here on. Its secrets are forgotten at once. Raises NotFound.
    """
    while not _deleted(workspace_id, destination_id, cause):
        continue  # a destination has come after it meanwhile: that one is locked next time


@transaction.atomic
def _deleted(workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause) -> bool:
    """Delete it unless another has come after it since the rows were locked.

    Whoever sets ``after`` holds the head until its commit, so with the head held all are seen.
    """
    mine = Q(pk=destination_id) | Q(after=destination_id)
    rows = Destination.objects.in_workspace(workspace_id).filter(mine).order_by("pk")
    locked = {row.pk: row for row in rows.select_for_update(no_key=True)}
    destination = locked.pop(destination_id, None)
    if destination is None:
        raise NotFound
    lock_heads([workspace_id])
    if set(rows.values_list("pk", flat=True)) - {destination_id} != locked.keys():
        transaction.set_rollback(True)
        return False
    _save(destination, deleted_at=timezone.now(), **FORGOTTEN)
    _record(destination, EventType.DESTINATION_DELETED, cause)
    for follower in locked.values():
        _save(follower, after=None)
        _record(follower, EventType.DESTINATION_CHANGED, cause, changed=["after"])
    return True


@transaction.atomic
def pause_destination(
    *, workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause, reason: str = ""
) -> Destination:
    """Stop sending; deliveries wait and none is dropped. Raises NotFound."""
    destination = locked_destination(workspace_id, destination_id)
    if destination.state != DestinationState.PAUSED:
        _save(destination, state=DestinationState.PAUSED, paused_reason=reason)
        _record(destination, EventType.DESTINATION_PAUSED, cause)
    return destination


@transaction.atomic
def resume_destination(
    *, workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause
) -> Destination:
    """Send again what waits, in order, also before a Retry-After is over. Raises NotFound.

    Where its circuit is open, one request goes at once, and the others once that has succeeded.
    No delivery's age counts the time in which it was not allowed to go.
    """
    destination = locked_destination(workspace_id, destination_id)
    was_held = _probe_at_once(destination) or destination.blocked_until is not None
    if was_held or destination.state != DestinationState.ACTIVE:
        _save(
            destination,
            state=DestinationState.ACTIVE,
            paused_reason="",
            blocked_until=None,
            resumed_at=Now(),
        )
        destination.refresh_from_db(fields=["resumed_at"])
        _record(destination, EventType.DESTINATION_RESUMED, cause)
    return destination


def _probe_at_once(destination: Destination) -> bool:
    """Let an open circuit try at once: somebody has seen to the destination."""
    lock_heads([destination.workspace_id])
    return Circuit.objects.begin_anew(destination.pk)


@transaction.atomic
def rotate_secret(
    *, workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause
) -> tuple[Destination, str]:
    """Give a destination a new secret; return it in plain this once. The old one signs on for 24 h.

    So it is with its signing key, where it has one; the new public key is on the destination. What
    was already old is forgotten: two of each sign at most. So is what does not open any more, as
    after the loss of a key. Raises NotFound, and Conflict where its kind signs nothing.
    """
    destination = locked_destination(workspace_id, destination_id)
    if not signs(destination.kind):
        raise Conflict(f"A destination of kind {destination.kind} signs nothing: it has no secret.")
    plain = new_secret()
    _save(
        destination,
        sealed_old_secret=if_it_opens(destination, "sealed_secret"),
        sealed_secret=seal_secret(destination_id=destination.pk, plain=plain),
        old_secret_expires_at=Now() + OLD_SECRET_LIVES,
        **next_key(destination),
    )
    destination.refresh_from_db(fields=["old_secret_expires_at"])
    _record(destination, EventType.DESTINATION_SECRET_ROTATED, cause)
    return destination, plain


@transaction.atomic
def ping_destination(
    *, workspace_id: uuid.UUID, destination_id: uuid.UUID, cause: Cause
) -> Delivery:
    """Queue a ``ping`` for one destination; return its delivery. Raises NotFound."""
    destination = locked_destination(workspace_id, destination_id)
    recorded = _record(destination, EventType.PING, cause, only=destination.pk)
    return Delivery.objects.get(destination=destination, event_seq=recorded.seq)


def locked_destination(workspace_id: uuid.UUID, destination_id: uuid.UUID) -> Destination:
    """Return the destination, its row locked until the transaction ends. Raises NotFound."""
    rows = Destination.objects.in_workspace(workspace_id).select_for_update(no_key=True)
    destination = rows.filter(pk=destination_id).first()
    if destination is None:
        raise NotFound
    return destination


def _put(destination: Destination, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(destination, name, value)


def _save(destination: Destination, **values: Any) -> None:
    _put(destination, values)
    destination.updated_at = timezone.now()
    destination.save(update_fields=[*values, "updated_at"])


def _record(
    destination: Destination,
    kind: EventType,
    cause: Cause,
    *,
    only: uuid.UUID | None = None,
    **data: Any,
) -> Recorded:
    return record_event(
        NewEvent(
            workspace_id=destination.workspace_id,
            type=kind,
            cause=cause,
            only=only,
            data={"destination": destination_snapshot(destination), **data},
        )
    )
