"""Workspaces: a tenant, the head of its log and its first owner appear together or not at all."""

from django.contrib.auth.models import User
from django.db import transaction

from tasks_app.models import Membership, Role, Workspace


@transaction.atomic
def create_workspace(*, slug: str, name: str, owner: User) -> Workspace:
    """Create a workspace with an empty log and one owner.

    Raises django.db.IntegrityError where the slug is taken.
    """
    workspace = Workspace.objects.create(slug=slug, name=name)
    Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
    return workspace
