"""Role and scope → capability: one table that API, stream, admin and dashboard all ask."""

from enum import StrEnum

from tasks_app.models import Role, Scope


class Capability(StrEnum):
    """Something one may do in a workspace."""

    READ = "read"
    EXPORT = "export"
    MANAGE_OWN = "manage_own"  # one's own keys and membership
    WRITE_TASKS = "write_tasks"
    IMPORT = "import"
    MANAGE_DESTINATIONS = "manage_destinations"
    MANAGE_DELIVERIES = "manage_deliveries"
    MANAGE_SCHEDULES = "manage_schedules"
    MANAGE_KEYS = "manage_keys"  # of others
    MANAGE_MEMBERS = "manage_members"
    MANAGE_WORKSPACE = "manage_workspace"


_READS = frozenset({Capability.READ, Capability.EXPORT})
_WRITES = _READS | {Capability.WRITE_TASKS, Capability.IMPORT}
_VIEWER = _READS | {Capability.MANAGE_OWN}
_MEMBER = _WRITES | {Capability.MANAGE_OWN}
_ADMIN = _MEMBER | {
    Capability.MANAGE_DESTINATIONS,
    Capability.MANAGE_DELIVERIES,
    Capability.MANAGE_SCHEDULES,
    Capability.MANAGE_KEYS,
}
_OWNER = _ADMIN | {Capability.MANAGE_MEMBERS, Capability.MANAGE_WORKSPACE}

OF_ROLE: dict[str, frozenset[Capability]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _OWNER,
}

#: What a key may do at most. An admin key of an owner may do all that the owner may; no lesser key
#: makes another key, or one that was stolen would outlive its revocation.
OF_SCOPE: dict[str, frozenset[Capability]] = {
    Scope.READ: _READS,
    Scope.WRITE: _WRITES,
    Scope.ADMIN: _OWNER,
}


def capabilities(role: str, scope: str | None = None) -> frozenset[Capability]:
    """Return what a role may do, narrowed by a key's scope; nothing where either is unknown."""
    granted = OF_ROLE.get(role, frozenset())
    if scope is None:
        return granted
    return granted & OF_SCOPE.get(scope, frozenset())
