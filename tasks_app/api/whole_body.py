"""Bodies under WSGI: read before Django sees the request, so that only a whole one counts.

Django reads CONTENT_LENGTH bytes and takes a body without one for empty, so a chunked POST would
look like no body at all. PEP 3333 leaves the end of such a stream to the server.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def with_whole_bodies(application: Application, *, limit: int) -> Application:
    """Wrap a WSGI application, so that chunked bodies have a length and no refusal comes early.

    A client that died in mid-body, or that the proxy has cut off and refused, leaves no body.
    The proxy bounds what arrives in chunks.
    """

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            # Without a size: given one, granian hands out what broke off as if it were complete.
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        elif int(environ.get("CONTENT_LENGTH") or 0) > limit:
            # Refused by its length. Were that said at once, the proxy, still sending, would find
            # the connection closed and take it for a fault: 502 in place of its own 413.
            environ["wsgi.input"].read(limit + 1)
        return application(environ, start_response)

    return wrapped
