"""Workspaces: made with the head of their log and their first owner, renamed, and ended.

Lock order of all that concerns people: the workspace's row, then members, keys and invitations,
then the head. The row is locked without its key, so nothing that merely refers to it waits.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from tasks_app.actions.destination_secrets import FORGOTTEN
from tasks_app.actions.echoed import NOTHING, refuse_changed
from tasks_app.actions.taken import refused_where_taken
from tasks_app.events.access_hook import tell_access_changed
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.people import member_snapshot, record_people, workspace_snapshot
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import NotFound
from tasks_app.models import ApiKey, Destination, Invitation, Membership, Role, Workspace

SLUG_TAKEN: Final = ("workspace_slug_key", "/slug", "Another workspace has this slug.")


@transaction.atomic
def create_workspace(*, slug: str, name: str, owner: User) -> Workspace:
    """Create a workspace with an empty log and one owner.

    Raises django.db.IntegrityError where the slug is taken.
    """
    workspace = Workspace.objects.create(slug=slug, name=name)
    Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
    return workspace


def open_workspace(*, slug: str, name: str, owner: User, cause: Cause) -> Workspace:
    """Create a workspace as above, and begin its log with it.

    Raises Invalid where the slug is taken.
    """
    with refused_where_taken(*SLUG_TAKEN), transaction.atomic():
        workspace = create_workspace(slug=slug, name=name, owner=owner)
        told: dict[str, Any] = {
            "workspace": workspace_snapshot(workspace),
            "member": member_snapshot(workspace.memberships.get()),
        }
        record_people(workspace.pk, EventType.WORKSPACE_CREATED, cause, **told)
    return workspace


def change_workspace(
    *,
    workspace_id: uuid.UUID,
    fields: Mapping[str, str],
    cause: Cause,
    echoed: Mapping[str, Any] = NOTHING,
) -> Workspace:
    """Rename a workspace; a change that changes nothing is not an event.

    Raises NotFound, and Invalid where the slug is taken or a read-only field differs.
    """
    with refused_where_taken(*SLUG_TAKEN), transaction.atomic():
        workspace = locked_workspace(workspace_id)
        refuse_changed(_read_only(workspace), echoed)
        before = {name: getattr(workspace, name) for name in fields}
        changes = {n: [before[n], value] for n, value in fields.items() if before[n] != value}
        if changes:
            for name in changes:
                setattr(workspace, name, fields[name])
            workspace.save(update_fields=list(changes))
            told = workspace_snapshot(workspace)
            kind = EventType.WORKSPACE_CHANGED
            record_people(workspace_id, kind, cause, workspace=told, changes=changes)
    return workspace


@transaction.atomic
def delete_workspace(*, workspace_id: uuid.UUID, cause: Cause) -> None:
    """End a workspace at once: nobody enters, keys and links die, nothing more is sent.

    The sweep cancels what waits and then erases every row (delivery/erase.py). Raises NotFound.
    """
    workspace = locked_workspace(workspace_id)
    destinations = Destination.objects.in_workspace(workspace_id).order_by("pk")
    ids = list(destinations.select_for_update(no_key=True).values_list("pk", flat=True))
    Destination.objects.filter(pk__in=ids).update(deleted_at=Now(), updated_at=Now(), **FORGOTTEN)
    ApiKey.objects.in_workspace(workspace_id).filter(revoked_at=None).update(revoked_at=Now())
    Invitation.objects.in_workspace(workspace_id).open().update(revoked_at=Now())
    Workspace.objects.filter(pk=workspace_id).update(deleted_at=Now())
    told = workspace_snapshot(workspace)
    record_people(workspace_id, EventType.WORKSPACE_DELETED, cause, workspace=told)
    tell_access_changed(workspace_id)


def locked_workspace(workspace_id: uuid.UUID) -> Workspace:
    """Return the workspace, its row locked until the transaction ends. Raises NotFound."""
    rows = Workspace.objects.select_for_update(no_key=True).filter(deleted_at=None)
    workspace = rows.filter(pk=workspace_id).first()
    if workspace is None:
        raise NotFound
    return workspace


def _read_only(workspace: Workspace) -> dict[str, Any]:
    return {"id": str(workspace.pk), "created_at": moment(workspace.created_at)}
