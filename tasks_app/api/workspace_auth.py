"""Who a session is where the path names the workspace, or where there is none yet."""

from typing import Any, cast

from rest_framework import exceptions
from rest_framework.request import Request

from tasks_app.api.permissions import WorkspacePermission
from tasks_app.queries.principal import Account, Principal, principals_of_user


def account_or_member(request: Request) -> Account | Principal:
    """Return the logged-in user in the workspace of the path, as an account where it names none.

    Raises NotFound where the user is not in that workspace.
    """
    user, session = request._request.user, request._request.session
    named = request.parser_context["kwargs"].get("workspace_id")
    if named is None:
        _check_header(request, cast("int", user.pk))
        return Account(user_id=cast("int", user.pk), username=user.get_username())
    found = principals_of_user(
        user_id=cast("int", user.pk), workspace_id=named, session_key=session.session_key or ""
    )
    if not found:
        raise exceptions.NotFound("There is no such workspace.")
    return found[0]


def _check_header(request: Request, user_id: int) -> None:
    """Refuse an account that names a workspace which is not its own."""
    slug = request.headers.get("X-Workspace") or request.query_params.get("workspace") or ""
    if slug and not principals_of_user(user_id=user_id, slug=slug.replace("\0", "")):
        raise exceptions.NotFound("There is no such workspace.")


class AccountPermission(WorkspacePermission):
    """An account lists and opens workspaces; in one of them its role decides as everywhere."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether it may."""
        if isinstance(request.auth, Account) and view.action in {"list", "create"}:
            return True
        return super().has_permission(request, view)


def user_id_of(request: Request) -> int:
    """Return whose key or session it is."""
    return cast("Account | Principal", request.auth).user_id
