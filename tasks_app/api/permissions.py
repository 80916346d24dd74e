"""Denied by default: a view says, action by action, which capability it needs."""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tasks_app.access import Capability, capabilities
from tasks_app.queries.principal import Principal


class WorkspacePermission(BasePermission):
    """Asks `tasks_app.access`; what declares no capability is refused."""

    message = "This role or scope may not do that."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether the principal may. Raises MethodNotAllowed where there is nothing to do."""
        principal = request.auth
        if not isinstance(principal, Principal):
            return False
        declared: dict[str, Capability] = getattr(view, "capabilities", {})
        action = getattr(view, "action", None)
        if action is None or action == "metadata":
            raise MethodNotAllowed(request.method or "")
        needed = declared.get(action)
        return needed is not None and may(principal, needed)


def may(principal: Principal, capability: Capability) -> bool:
    """Tell whether a principal has a capability."""
    return capability in capabilities(principal.role, principal.scope)
