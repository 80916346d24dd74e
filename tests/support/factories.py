"""People, workspaces and destinations for tests: Alice owns, Charlie is a stranger."""

import secrets
import uuid
from typing import Any

from django.contrib.auth.models import User

from tasks_app.actions.workspace import create_workspace
from tasks_app.events.cause import Cause
from tasks_app.models import Destination, DestinationCounter, Event, Membership, Role, Workspace


def cause(name: str = "alice", **fields: str) -> Cause:
    """Return who did it."""
    return Cause(kind="user", name=name, id="1", **fields)


def user(name: str = "") -> User:
    """Return a user with this name, made where missing, password ``password``."""
    name = name or f"user-{secrets.token_hex(4)}"
    existing = User.objects.filter(username=name).first()
    return existing or User.objects.create_user(name, f"{name}@example.org", "password")


def workspace(slug: str = "") -> Workspace:
    """Return a new workspace that Alice owns."""
    slug = slug or f"w-{secrets.token_hex(4)}"
    return create_workspace(slug=slug, name=slug.title(), owner=user("alice"))


def member(of: Workspace, *, role: str = Role.MEMBER, name: str = "") -> Membership:
    """Return a new member."""
    return Membership.objects.create(workspace=of, user=user(name), role=role)


def destination(of: Workspace, **fields: Any) -> Destination:
    """Return a webhook destination that is not reached by anybody unless ``url`` says so."""
    defaults = {"name": secrets.token_hex(4), "url": "http://127.0.0.1:9/", "sealed_secret": "-"}
    made = Destination.objects.create(workspace=of, **(defaults | fields))
    DestinationCounter.objects.create(destination_id=made.pk)
    return made


def log(of: Workspace | uuid.UUID) -> list[Event]:
    """Return the whole log of a workspace, in order."""
    pk = of.pk if isinstance(of, Workspace) else of
    return list(Event.objects.in_workspace(pk).after(0))
