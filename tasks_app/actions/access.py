"""Ending or changing somebody's access: one transaction each, and streams hear of it at once."""

import uuid

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from tasks_app.events.access_hook import tell_access_changed
from tasks_app.exceptions import NotFound
from tasks_app.models import ApiKey, Membership, Role


@transaction.atomic
def revoke_key(*, workspace_id: uuid.UUID, api_key_id: uuid.UUID) -> None:
    """Revoke a key for good; a revoked one stays as it is. Raises NotFound."""
    keys = ApiKey.objects.filter(pk=api_key_id, membership__workspace_id=workspace_id)
    if not keys.exists():
        raise NotFound
    keys.filter(revoked_at=None).update(revoked_at=Now())
    tell_access_changed(workspace_id)


@transaction.atomic
def remove_member(*, workspace_id: uuid.UUID, membership_id: uuid.UUID) -> None:
    """Remove a member and with it their keys in this workspace. Raises NotFound."""
    deleted, _ = Membership.objects.filter(pk=membership_id, workspace_id=workspace_id).delete()
    if not deleted:
        raise NotFound
    tell_access_changed(workspace_id)


@transaction.atomic
def change_role(*, workspace_id: uuid.UUID, membership_id: uuid.UUID, role: Role) -> None:
    """Give a member another role. Raises NotFound."""
    members = Membership.objects.filter(pk=membership_id, workspace_id=workspace_id)
    if not members.update(role=role):
        raise NotFound
    tell_access_changed(workspace_id)


@transaction.atomic
def disable_user(*, user_id: int) -> None:
    """Shut a user out everywhere, sessions and keys alike. Raises NotFound."""
    if not User.objects.filter(pk=user_id).update(is_active=False):
        raise NotFound
    tell_access_changed(None)
