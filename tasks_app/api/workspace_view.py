"""What every resource of a workspace shares: who asks, why, and answers with their headers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from tasks_app.access import Capability
from tasks_app.api.auth import principal_of
from tasks_app.api.idempotency import answered_once, idempotency_key
from tasks_app.api.pagination import Page
from tasks_app.api.permissions import may
from tasks_app.events.cause import Cause
from tasks_app.observability import request_id
from tasks_app.queries.principal import Principal
from tasks_app.queries.snapshot import Head


class WorkspaceView(ViewSet):
    """A resource of one workspace. ``capabilities`` names what each action needs.

    ``shows_secret`` names the actions whose answer shows a secret: it is kept nowhere.
    """

    capabilities: ClassVar[Mapping[str, Capability]] = {}
    form: ClassVar[Serializer[Any] | None] = None  # its fields are a form on the page; else JSON
    shows_secret: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check credentials and rights; then let a request with an idempotency key happen once."""
        super().initial(request, *args, **kwargs)
        key = idempotency_key(request)
        if key is not None:
            name = (request.method or "").lower()
            shows_secret = self.action in self.shows_secret
            once = answered_once(self, getattr(self, name), key=key, shows_secret=shows_secret)
            setattr(self, name, once)

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
