"""Who did it, as the log tells: the person who is logged in, in the request at hand."""

from django.http import HttpRequest

from tasks_app.events.cause import Cause
from tasks_app.observability import request_id


def cause_of(request: HttpRequest) -> Cause:
    """Return the cause of whatever this request changes."""
    return Cause(
        kind="user",
        name=request.user.get_username(),
        id=str(request.user.pk),
        request_id=request_id.current.get(),
        traceparent=request_id.accept_traceparent(request.META.get("HTTP_TRACEPARENT")),
    )
