"""Who is asking: a bearer key, which decides the workspace, or a session, which may name one."""

from typing import Any, TypeVar, cast

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from tasks_app.api.errors import REALM
from tasks_app.api.throttles import limit_principal
from tasks_app.api.workspace_auth import account_or_member
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.queries.principal import Account, Principal, principal_by_key, principals_of_user
from tasks_app.security.api_keys import digest

WORKSPACE_HEADER = "X-Workspace"

Asking = TypeVar("Asking", Principal, Account | Principal)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer …` (RFC 6750 §2.1)."""

    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        """Return the key's principal; None without the header, so that a session may answer."""
        given = request.META.get("HTTP_AUTHORIZATION", "")
        if not given:
            return None
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise exceptions.AuthenticationFailed("Authorization must be a Bearer token.")
        principal = principal_by_key(digest(token.strip()))
        if principal is None:
            raise exceptions.AuthenticationFailed("The key is wrong, expired or revoked.")
        return _remembered(request, principal)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return REALM


class WorkspaceSessionAuthentication(SessionAuthentication):
    """A logged-in user in their only workspace, or in the one that the request names."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the member's principal. Raises PermissionDenied without a CSRF token."""
        django_request = request._request
        user = getattr(django_request, "user", None)
        if user is None or not user.is_active:
            return None
        self.enforce_csrf(request)
        if getattr(request.parser_context.get("view"), "workspace_in_path", False):
            return _remembered(request, account_or_member(request))
        slug = request.headers.get(WORKSPACE_HEADER) or request.query_params.get("workspace") or ""
        session_key = django_request.session.session_key or ""
        found = principals_of_user(
            user_id=user.pk, slug=slug.replace("\0", ""), session_key=session_key
        )
        return _remembered(request, _the_only(found, named=bool(slug)))


def _the_only(found: list[Principal], *, named: bool) -> Principal:
    if len(found) == 1:
        return found[0]
    if named:
        raise exceptions.NotFound("There is no such workspace.")
    if not found:
        raise exceptions.PermissionDenied("You are not a member of any workspace.")
    detail = f"Name the workspace by the {WORKSPACE_HEADER} header or this parameter."
    raise Invalid(errors=(FieldError("?workspace", "required", detail),))


def _remembered(request: Request, principal: Asking) -> tuple[Asking, Asking]:
    """Leave the principal where the request log finds it, and count the request as theirs.

    Here, not in a throttle of Django REST framework: that is asked only once permissions are
    granted, and who is refused has asked as well. Raises RateLimited.
    """
    request._request.principal = principal  # type: ignore[attr-defined]
    limit_principal(request._request, principal)
    return principal, principal


def principal_of(request: Request) -> Principal:
    """Return who is asking, once permissions have been checked."""
    return cast("Principal", request.auth)
