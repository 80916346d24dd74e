"""Who is asking, in which workspace: one indexed statement each way.

The API and the stream ask here; what a principal may do is decided by `tasks_app.access`.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from tasks_app.models import Membership

_BY_KEY: Final = """
    SELECT m.workspace_id, w.slug, m.id, m.role, u.id, u.username, k.id, k.scope,
           k.last_used_at IS NULL OR k.last_used_at < statement_timestamp() - interval '1 minute',
           k.expires_at, k.requests_per_minute
    FROM api_key k
    JOIN membership m ON m.id = k.membership_id
    JOIN workspace w ON w.id = m.workspace_id
    JOIN auth_user u ON u.id = m.user_id
    WHERE k.digest = %s AND k.revoked_at IS NULL AND u.is_active AND w.deleted_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
"""

# Whoever finds the row locked leaves it: another request is marking the same minute. Nor does
# anybody wait for the disk: a time of use that a crash forgets is written a minute later.
_MARK_USED: Final = """
    WITH unhurried AS MATERIALIZED (SELECT set_config(
        'synchronous_commit',
        CASE WHEN %s THEN 'off' ELSE current_setting('synchronous_commit') END, true))
    UPDATE api_key SET last_used_at = statement_timestamp()
    WHERE id = (SELECT k.id FROM api_key k, unhurried
                WHERE k.id = %s FOR NO KEY UPDATE OF k SKIP LOCKED)
"""


NOWHERE: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A member at work in one workspace, by key (``scope`` is set) or by session."""

    workspace_id: uuid.UUID
    workspace: str
    membership_id: uuid.UUID
    role: str
    user_id: int
    username: str
    api_key_id: uuid.UUID | None = None
    scope: str | None = None
    session_key: str = ""
    expires_at: datetime | None = None
    requests_per_minute: int | None = None

    @property
    def is_authenticated(self) -> bool:
        """Tell Django REST framework that this is somebody."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A logged-in user outside any workspace: to see which there are, and to open another."""

    user_id: int
    username: str
    workspace: None = None
    workspace_id: uuid.UUID = NOWHERE
    api_key_id: None = None
    requests_per_minute: None = None

    @property
    def is_authenticated(self) -> bool:
        """Tell Django REST framework that this is somebody."""
        return True


def principal_by_key(digest: str) -> Principal | None:
    """Return whom a key's digest stands for, marking its use at most once a minute."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY, [digest])
        row = cursor.fetchone()
        if row is None:
            return None
        workspace_id, slug, membership_id, role, user_id, username, key_id, scope, *rest = row
        stale, end, per_minute = rest
        if stale:
            alone = not connection.in_atomic_block  # or others wait for this commit
            cursor.execute(_MARK_USED, [alone, key_id])
    return Principal(
        workspace_id=workspace_id,
        workspace=slug,
        membership_id=membership_id,
        role=role,
        user_id=user_id,
        username=username,
        api_key_id=key_id,
        scope=scope,
        expires_at=end,
        requests_per_minute=per_minute,
    )


def principals_of_user(
    *,
    user_id: int,
    slug: str = "",
    workspace_id: uuid.UUID | None = None,
    session_key: str = "",
    at_most: int = 2,
) -> list[Principal]:
    """Return a user's memberships as principals: in the workspace named, or in any."""
    memberships = Membership.objects.at_work().filter(user_id=user_id)
    if slug:
        memberships = memberships.filter(workspace__slug=slug)
    if workspace_id:
        memberships = memberships.filter(workspace_id=workspace_id)
    rows = memberships.select_related("workspace", "user").order_by("id")[:at_most]
    return [
        Principal(
            workspace_id=row.workspace_id,
            workspace=row.workspace.slug,
            membership_id=row.pk,
            role=row.role,
            user_id=row.user_id,
            username=row.user.get_username(),
            session_key=session_key,
        )
        for row in rows
    ]
