"""API keys: made, shown once, changed, revoked. A key never reaches further than its member.

A member's row is locked while a key of theirs is made or changed, so that a role that is lowered
meanwhile finds it. Revoking is for good.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now

from tasks_app.actions.echoed import NOTHING, differ, refuse_changed
from tasks_app.events.access_hook import tell_access_changed
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.people import key_snapshot, record_people
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import Conflict, FieldError, Invalid, NotFound
from tasks_app.models import ApiKey, Membership, Scope, scopes_of_role
from tasks_app.security.api_keys import new_api_key


@transaction.atomic
def create_key(
    *,
    membership_id: uuid.UUID,
    name: str,
    scope: str,
    cause: Cause,
    expires_at: datetime | None = None,
    not_after: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of a member; return it with its plain text, this once.

    ``not_after`` is the end of the key that asks: what it makes does not outlive it. Raises
    NotFound, and Invalid where the scope is above the role or the end is past or too late.
    """
    member = _locked_member(membership_id)
    expires_at = expires_at or not_after
    _check(member, {"scope": scope, "expires_at": expires_at}, not_after)
    plain, prefix, digest = new_api_key()
    key = ApiKey.objects.create(
        membership=member,
        name=name,
        scope=scope,
        expires_at=expires_at,
        prefix=prefix,
        digest=digest,
    )
    record_people(member.workspace_id, EventType.API_KEY_CREATED, cause, api_key=key_snapshot(key))
    return key, plain


@transaction.atomic
def change_key(
    *,
    membership_id: uuid.UUID,
    api_key_id: uuid.UUID,
    fields: Mapping[str, Any],
    cause: Cause,
    echoed: Mapping[str, Any] = NOTHING,
    not_after: datetime | None = None,
) -> ApiKey:
    """Change name, scope or end of a member's own key.

    Raises NotFound, Conflict where it is revoked, and Invalid as above.
    """
    member = _locked_member(membership_id)
    key = _locked_key(member.workspace_id, api_key_id)
    if key.membership_id != membership_id:
        raise NotFound
    if key.revoked_at is not None:
        raise Conflict("The key is revoked.")
    refuse_changed(read_only(key), echoed)
    changes = {n: [_told(getattr(key, n)), _told(value)] for n, value in fields.items()}
    changes = {name: both for name, both in changes.items() if differ(*both)}
    if changes:
        wanted = {name: fields[name] for name in changes}
        _check(member, wanted, not_after)
        _check_reach(key, wanted, not_after)
        for name, value in wanted.items():
            setattr(key, name, value)
        key.save(update_fields=list(wanted))
        told = key_snapshot(key)
        kind = EventType.API_KEY_CHANGED
        record_people(member.workspace_id, kind, cause, api_key=told, changes=changes)
        tell_access_changed(member.workspace_id)
    return key


@transaction.atomic
def revoke_key(
    *,
    workspace_id: uuid.UUID,
    api_key_id: uuid.UUID,
    cause: Cause,
    membership_id: uuid.UUID | None = None,
) -> None:
    """Revoke a key for good, anybody's or only a member's own; a revoked one stays as it is.

    Raises NotFound.
    """
    key = _locked_key(workspace_id, api_key_id)
    if membership_id is not None and key.membership_id != membership_id:
        raise NotFound
    if key.revoked_at is None:
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=Now())
        told = key_snapshot(key)
        record_people(workspace_id, EventType.API_KEY_REVOKED, cause, api_key=told)
        tell_access_changed(workspace_id)


def read_only(key: ApiKey) -> dict[str, Any]:
    """Return what a caller may send back unchanged. ``last_used_at`` moves by itself."""
    return {
        "id": str(key.pk),
        "member": str(key.membership_id),
        "user": key.membership.user.get_username(),
        "prefix": key.prefix,
        "revoked_at": moment(key.revoked_at),
        "created_at": moment(key.created_at),
    }


def _locked_member(membership_id: uuid.UUID) -> Membership:
    rows = Membership.objects.at_work().select_related("user")
    rows = rows.annotate(moment=ExpressionWrapper(Now(), output_field=DateTimeField()))
    member = rows.select_for_update(no_key=True, of=("self",)).filter(pk=membership_id).first()
    if member is None:
        raise NotFound
    return member


def _locked_key(workspace_id: uuid.UUID, api_key_id: uuid.UUID) -> ApiKey:
    rows = ApiKey.objects.in_workspace(workspace_id).select_related("membership__user")
    key = rows.select_for_update(no_key=True, of=("self",)).filter(pk=api_key_id).first()
    if key is None:
        raise NotFound
    return key


def _check(member: Any, wanted: Mapping[str, Any], not_after: datetime | None) -> None:
    errors = []
    if "scope" in wanted and wanted["scope"] not in scopes_of_role(member.role):
        detail = (
            f"A key of a {member.role} has at most the scope {scopes_of_role(member.role)[-1]}."
        )
        errors.append(FieldError("/scope", "above_role", detail))
    end = wanted.get("expires_at")
    if end is not None and end <= member.moment:
        errors.append(FieldError("/expires_at", "past", "This is past already."))
    if "expires_at" in wanted and not_after is not None and (end is None or end > not_after):
        detail = "A key that ends makes none that lives longer."
        errors.append(FieldError("/expires_at", "too_late", detail))
    if errors:
        raise Invalid(errors=tuple(errors))


def _check_reach(key: ApiKey, wanted: Mapping[str, Any], not_after: datetime | None) -> None:
    """Refuse a key that ends to raise one that lives longer: somebody may know that one too."""
    end = wanted.get("expires_at", key.expires_at)
    rises = _rank(wanted.get("scope", key.scope)) > _rank(key.scope)
    if rises and not_after is not None and (end is None or end > not_after):
        detail = "A key that ends raises none that lives longer."
        raise Invalid(errors=(FieldError("/scope", "too_late", detail),))


def _rank(scope: str) -> int:
    return Scope.values.index(scope)


def _told(value: Any) -> Any:
    return moment(value) if isinstance(value, datetime) else value
