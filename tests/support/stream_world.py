"""What followers of a stream need: committed workspaces, keys, sessions and writers."""

import secrets
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connections

from tasks_app.actions.session_store import SessionStore
from tasks_app.actions.task import create_task
from tasks_app.actions.workspace import create_workspace
from tasks_app.events.cause import system
from tasks_app.models import ApiKey, Membership, Role, Workspace
from tasks_app.security.api_keys import new_api_key


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a workspace of their own, with a key."""

    workspace: Workspace
    membership: Membership
    user: User
    api_key: ApiKey
    key: str


def new_member(
    workspace: Workspace | None = None, role: str = Role.VIEWER, **fields: Any
) -> Member:
    """Make a user with a workspace (or in one) and a key."""
    user = User.objects.create_user(f"u-{secrets.token_hex(6)}", password="password")
    if workspace is None:
        workspace = create_workspace(slug=f"w-{secrets.token_hex(6)}", name="W", owner=user)
        membership = Membership.objects.get(workspace=workspace, user=user)
    else:
        membership = Membership.objects.create(workspace=workspace, user=user, role=role)
    new = new_api_key()
    key = ApiKey.objects.create(
        membership=membership, name="test", prefix=new.prefix, digest=new.digest, **fields
    )
    return Member(workspace=workspace, membership=membership, user=user, api_key=key, key=new.plain)


def new_session(user: User) -> str:
    """Log a user in; return the cookie's value."""
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


def write(workspace_id: uuid.UUID, times: int = 1, **fields: Any) -> None:
    """Commit so many events, each in a transaction of its own."""
    for number in range(times):
        values = {"title": f"task {number}"} | fields
        create_task(workspace_id=workspace_id, fields=values, cause=system("test"))


class Writers:
    """Threads that commit events side by side."""

    def __init__(self, workspace_id: uuid.UUID, *, threads: int, each: int) -> None:
        self.total = threads * each
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._write, args=(workspace_id, each), daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all is written."""
        for thread in self._threads:
            thread.join(60)
        assert not self._errors, self._errors

    def _write(self, workspace_id: uuid.UUID, each: int) -> None:
        try:
            write(workspace_id, each)
        except BaseException as error:  # noqa: BLE001 - join() raises it
            self._errors.append(error)
        finally:
            connections.close_all()
