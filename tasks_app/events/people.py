"""Members, invitations, keys and workspaces as the log tells of them to all who may read it.

No mail address, no part of a key: who may know them asks the API for the id.
"""

import uuid
from typing import Any

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.record import NewEvent, record_event
from tasks_app.events.snapshot import moment
from tasks_app.models import ApiKey, Invitation, Membership, Workspace


def member_snapshot(member: Membership) -> dict[str, Any]:
    """Return who it is, as what."""
    return {"id": str(member.pk), "user": member.user.get_username(), "role": member.role}


def key_snapshot(key: ApiKey) -> dict[str, Any]:
    """Return whose key it is, how far it reaches and until when."""
    return {
        "id": str(key.pk),
        "name": key.name,
        "scope": key.scope,
        "member": str(key.membership_id),
        "user": key.membership.user.get_username(),
        "expires_at": moment(key.expires_at),
    }


def invitation_snapshot(invitation: Invitation) -> dict[str, Any]:
    """Return that there is one, and as what."""
    return {"id": str(invitation.pk), "role": invitation.role}


def workspace_snapshot(workspace: Workspace) -> dict[str, Any]:
    """Return how it is called."""
    return {"id": str(workspace.pk), "slug": workspace.slug, "name": workspace.name}


def record_people(workspace_id: uuid.UUID, kind: EventType, cause: Cause, **data: Any) -> None:
    """Write one event of this kind; see record_events."""
    record_event(NewEvent(workspace_id=workspace_id, type=kind, cause=cause, data=data))
