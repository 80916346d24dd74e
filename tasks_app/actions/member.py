"""Members: another role, and the end of a membership. Keys and streams follow at once.

A workspace keeps at least one owner: its row is locked before its owners are counted, so of two
who leave at once the second is refused. The database checks the same (workspace_has_owner). One
whose account is disabled does not count. Whom they have invited, they take with them.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from tasks_app.actions.echoed import NOTHING, refuse_changed
from tasks_app.actions.invitation import revoke_all_by
from tasks_app.actions.workspace import locked_workspace
from tasks_app.events.access_hook import tell_access_changed
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.people import member_snapshot, record_people
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import LastOwner, NotFound
from tasks_app.models import ApiKey, Membership, Role, scopes_of_role


@transaction.atomic
def change_role(
    *,
    workspace_id: uuid.UUID,
    membership_id: uuid.UUID,
    role: str | None,
    cause: Cause,
    echoed: Mapping[str, Any] = NOTHING,
) -> Membership:
    """Give a member another role; a lower one lowers the scopes of their keys with it.

    None leaves it. Raises NotFound, LastOwner, and Invalid where a read-only field differs.
    """
    locked_workspace(workspace_id)
    member = _locked_member(workspace_id, membership_id)
    refuse_changed(_read_only(member), echoed)
    if role is None or role == member.role:
        return member
    _keep_an_owner(member)
    changes = {"role": [member.role, role]}
    member.role = role
    member.save(update_fields=["role"])
    allowed = scopes_of_role(role)
    ApiKey.objects.filter(membership=member).exclude(scope__in=allowed).update(scope=allowed[-1])
    if role != Role.OWNER:
        revoke_all_by(workspace_id=workspace_id, inviter_id=member.pk, cause=cause)
    told = member_snapshot(member)
    record_people(workspace_id, EventType.MEMBER_ROLE_CHANGED, cause, member=told, changes=changes)
    tell_access_changed(workspace_id)
    return member


@transaction.atomic
def remove_member(*, workspace_id: uuid.UUID, membership_id: uuid.UUID, cause: Cause) -> None:
    """Remove a member, or leave; their keys in this workspace go too.

    Raises NotFound and LastOwner.
    """
    locked_workspace(workspace_id)
    member = _locked_member(workspace_id, membership_id)
    _keep_an_owner(member)
    told = member_snapshot(member)
    revoke_all_by(workspace_id=workspace_id, inviter_id=member.pk, cause=cause)
    member.delete()
    record_people(workspace_id, EventType.MEMBER_REMOVED, cause, member=told)
    tell_access_changed(workspace_id)


def _locked_member(workspace_id: uuid.UUID, membership_id: uuid.UUID) -> Membership:
    rows = Membership.objects.in_workspace(workspace_id).select_related("user")
    member = rows.select_for_update(no_key=True, of=("self",)).filter(pk=membership_id).first()
    if member is None:
        raise NotFound
    return member


def _keep_an_owner(member: Membership) -> None:
    owners = Membership.objects.in_workspace(member.workspace_id).filter(role=Role.OWNER)
    owners = owners.filter(user__is_active=True)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise LastOwner


def _read_only(member: Membership) -> dict[str, Any]:
    return {
        "id": str(member.pk),
        "user": member.user.get_username(),
        "email": member.user.email,
        "created_at": moment(member.created_at),
    }
