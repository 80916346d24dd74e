"""Who may do what in the admin: operators all, other staff what their roles allow.

A superuser operates the installation and sees every workspace. Other members of the staff see the
workspaces that they belong to, and may do there what `tasks_app.access` grants their role.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from tasks_app.access import Capability, capabilities
from tasks_app.models import Membership

_KEPT: Final = "aftercommit_admin_rights"


@dataclass(frozen=True, slots=True)
class Rights:
    """What one person may do; ``roles`` by workspace, empty for an operator, who needs none."""

    operator: bool
    roles: dict[uuid.UUID, str]

    def may(self, capability: Capability, workspace_id: uuid.UUID | None) -> bool:
        """Tell whether they may in this workspace; what belongs to none is for operators."""
        if self.operator:
            return True
        if workspace_id is None:
            return False
        return capability in capabilities(self.roles.get(workspace_id, ""))

    def somewhere(self, capability: Capability) -> bool:
        """Tell whether they may in any workspace."""
        return self.operator or bool(self.where(capability))

    def where(self, capability: Capability) -> frozenset[uuid.UUID]:
        """Return the workspaces in which they may; an operator may beyond those."""
        found = (pk for pk, role in self.roles.items() if capability in capabilities(role))
        return frozenset(found)


def rights_of(request: HttpRequest) -> Rights:
    """Return the rights of who asks, read once a request."""
    kept: Rights | None = getattr(request, _KEPT, None)
    if kept is None:
        kept = _read(request.user)
        setattr(request, _KEPT, kept)
    return kept


def _read(user: AbstractBaseUser | AnonymousUser) -> Rights:
    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return Rights(operator=False, roles={})
    if user.is_superuser:
        return Rights(operator=True, roles={})
    rows = Membership.objects.at_work().filter(user_id=user.pk)
    return Rights(operator=False, roles=dict(rows.values_list("workspace_id", "role")))
