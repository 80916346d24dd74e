"""Role and scope → capability: one table that API, stream, admin and dashboard all ask."""

from enum import StrEnum

from tasks_app.models import Role, Scope


class Capability(StrEnum):
    """Something one may do in a workspace."""

    READ = "read"
    WRITE_TASKS = "write_tasks"
    MANAGE_DESTINATIONS = "manage_destinations"
    MANAGE_DELIVERIES = "manage_deliveries"
    MANAGE_MEMBERS = "manage_members"


_VIEWER = frozenset({Capability.READ})
_MEMBER = _VIEWER | {Capability.WRITE_TASKS}
_ADMIN = _MEMBER | {Capability.MANAGE_DESTINATIONS, Capability.MANAGE_DELIVERIES}
_OWNER = _ADMIN | {Capability.MANAGE_MEMBERS}

OF_ROLE: dict[str, frozenset[Capability]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _OWNER,
}

#: What a key may do at most. An admin key of an owner may do all that the owner may.
OF_SCOPE: dict[str, frozenset[Capability]] = {
    Scope.READ: _VIEWER,
    Scope.WRITE: _MEMBER,
    Scope.ADMIN: _OWNER,
}


def capabilities(role: str, scope: str | None = None) -> frozenset[Capability]:
    """Return what a role may do, narrowed by a key's scope; nothing where either is unknown."""
    granted = OF_ROLE.get(role, frozenset())
    if scope is None:
        return granted
    return granted & OF_SCOPE.get(scope, frozenset())
