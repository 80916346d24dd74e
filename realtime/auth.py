"""Who wants to follow: by key, by ticket, by session; and whether they still may.

The first credential that is there decides; a wrong one is not forgiven for the sake of the
next. Everything here is synchronous and runs beside the loop (`realtime.database`).
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from realtime.close_codes import BAD_CREDENTIALS, NO_WORKSPACE, Close
from realtime.sessions import logins
from tasks_app.access import Capability, capabilities
from tasks_app.actions.use_ticket import use_ticket
from tasks_app.models import ApiKey, Membership, Workspace
from tasks_app.queries.principal import Principal, principal_by_key, principals_of_user
from tasks_app.security.api_keys import digest


class Refused(Exception):
    """Nobody we know, or not here."""

    def __init__(self, close: Close) -> None:
        self.close = close
        super().__init__(close.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a handshake shows. None: not there."""

    authorization: str | None = None
    ticket: str | None = None
    session_key: str | None = None
    workspace: str = ""


def authenticate(credentials: Credentials) -> Principal:
    """Return who this is and in which workspace; raises Refused with the close code to send."""
    if credentials.authorization is not None:
        return _may_read(_by_header(credentials.authorization))
    if credentials.ticket is not None:
        return _may_read(_by_ticket(credentials.ticket))
    if credentials.session_key:
        return _may_read(_by_session(credentials.session_key, credentials.workspace))
    raise Refused(BAD_CREDENTIALS)


def still_valid(principals: Iterable[Principal]) -> dict[Principal, Principal]:
    """Return those who still may follow, as they are now; four queries, however many they are."""
    asked = set(principals)
    keys = _keys_alive({p.api_key_id for p in asked if p.api_key_id})
    sessions = logins({p.session_key for p in asked if p.session_key})
    members = _members({p.membership_id for p in asked})
    now: dict[Principal, Principal] = {}
    for principal in asked:
        fresh = _refreshed(principal, members, keys)
        if fresh and principal.session_key:
            login = sessions.get(principal.session_key)
            holds = login is not None and login[0].pk == principal.user_id
            fresh = replace(fresh, expires_at=login[1]) if login and holds else None
        if fresh and Capability.READ in capabilities(fresh.role, fresh.scope):
            now[principal] = fresh
    return now


def gone(workspace_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the workspaces that are no more."""
    asked = set(workspace_ids)
    there = Workspace.objects.filter(pk__in=asked, deleted_at=None)
    return asked - set(there.values_list("pk", flat=True))


def _by_header(authorization: str) -> Principal | None:
    """RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1)."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    return principal_by_key(digest(token.strip()))


def _by_ticket(plain: str) -> Principal | None:
    holder = use_ticket(plain=plain)
    if holder is None:
        return None
    member = Membership.objects.select_related("workspace", "user").filter(pk=holder.membership_id)
    row = member.first()
    if row is None:
        return None
    principal = Principal(
        workspace_id=row.workspace_id,
        workspace=row.workspace.slug,
        membership_id=row.pk,
        role=row.role,
        user_id=row.user_id,
        username=row.user.get_username(),
        api_key_id=holder.api_key_id,
        session_key=holder.session_key,
    )
    return still_valid([principal]).get(principal)


def _by_session(session_key: str, workspace: str) -> Principal:
    """A NUL, which PostgreSQL refuses to compare with, is in no key and no slug."""
    login = None if "\0" in session_key else logins([session_key]).get(session_key)
    if login is None:
        raise Refused(BAD_CREDENTIALS)
    if "\0" in workspace:
        raise Refused(NO_WORKSPACE)
    user, expires_at = login
    found = principals_of_user(user_id=user.pk, slug=workspace, session_key=session_key)
    if len(found) != 1:
        raise Refused(NO_WORKSPACE)
    return replace(found[0], expires_at=expires_at)


def _may_read(principal: Principal | None) -> Principal:
    if principal is None or Capability.READ not in capabilities(principal.role, principal.scope):
        raise Refused(BAD_CREDENTIALS)
    return principal


def _keys_alive(ids: set[uuid.UUID]) -> dict[uuid.UUID, ApiKey]:
    return ApiKey.objects.alive().in_bulk(list(ids)) if ids else {}


def _members(ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = Membership.objects.at_work().filter(pk__in=ids)
    return dict(rows.values_list("pk", "role"))


def _refreshed(
    principal: Principal, members: dict[uuid.UUID, str], keys: dict[uuid.UUID, ApiKey]
) -> Principal | None:
    role = members.get(principal.membership_id)
    if role is None:
        return None
    if principal.api_key_id is None:
        return replace(principal, role=role)
    key = keys.get(principal.api_key_id)
    if key is None or key.membership_id != principal.membership_id:
        return None
    return replace(principal, role=role, scope=key.scope, expires_at=key.expires_at)
