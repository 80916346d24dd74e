"""What every resource of a workspace shares: who asks, why, and answers with their headers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from tasks_app.access import Capability
from tasks_app.api.auth import principal_of
from tasks_app.api.pagination import Page
from tasks_app.api.permissions import may
from tasks_app.events.cause import Cause
from tasks_app.observability import request_id
from tasks_app.queries.principal import Principal
from tasks_app.queries.snapshot import Head


class WorkspaceView(ViewSet):
    """A resource of one workspace. ``capabilities`` names what each action needs."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    @property
    def principal(self) -> Principal:
        """Return who is asking."""
        return principal_of(self.request)

    @property
    def workspace_id(self) -> UUID:
        """Return where."""
        return self.principal.workspace_id

    @property
    def cause(self) -> Cause:
        """Return who does it, and in which request, as the log tells of it."""
        principal = self.principal
        by_key = principal.api_key_id is not None
        return Cause(
            kind="api_key" if by_key else "user",
            name=principal.username,
            id=str(principal.api_key_id if by_key else principal.user_id),
            request_id=request_id.current.get(),
            traceparent=request_id.accept_traceparent(self.request.META.get("HTTP_TRACEPARENT")),
        )

    def may(self, capability: Capability) -> bool:
        """Tell whether who asks has a further capability."""
        return may(self.principal, capability)


def listed(page: Page, results: Sequence[Any], head: Head) -> Response:
    """Answer a list with the cursor from which the stream continues it."""
    return Response(page.body(results), headers={"Stream-Cursor": str(head)})


def shown(body: Any, head: Head, **headers: str) -> Response:
    """Answer one resource with the cursor from which the stream continues it."""
    return Response(body, headers={"Stream-Cursor": str(head), **headers})
