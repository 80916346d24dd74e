"""What the head of a request decides before anything reads the rest.

An address or headers beyond these bounds are refused as a problem; the proxy lets a little more
through, so that what is answered is ours. A body in a content coding is refused as well: were
`Content-Encoding: gzip` passed over, compressed bytes would be called broken JSON, and plain ones
be taken for what they do not claim to be.
"""

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tasks_app.api.errors import plain_problem
from tasks_app.api.middleware import Answer

ADDRESS_MAX: Final = 16 * 1024
HEADERS_MAX: Final = 64 * 1024


class HeadMiddleware:
    """Refuses with 414, 431 and 415 (RFC 9110 §15.5.15 and §15.5.16, RFC 6585 §5)."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or refuse."""
        meta = request.META
        if len(meta.get("QUERY_STRING", "")) + len(request.path) > ADDRESS_MAX:
            return plain_problem(request, 414, f"An address has at most {ADDRESS_MAX} characters.")
        if sum(len(v) for name, v in meta.items() if name.startswith("HTTP_")) > HEADERS_MAX:
            return plain_problem(request, 431, f"Headers have at most {HEADERS_MAX} bytes.")
        if meta.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
            response = plain_problem(request, 415, "A body comes as it is, in no content coding.")
            response["Accept-Encoding"] = "identity"
            return response
        return self.get_response(request)
