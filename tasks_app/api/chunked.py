"""Chunked bodies under WSGI: read within the limit, so that Django sees how long they are.

Django reads CONTENT_LENGTH bytes and takes a body without one for empty, so a chunked POST would
look like no body at all. PEP 3333 leaves the end of such a stream to the server; granian ends it.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def with_chunked_bodies(application: Application, *, limit: int) -> Application:
    """Wrap a WSGI application; at most ``limit`` + 1 bytes are read, enough to refuse them."""

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        if chunked:
            body = _read(environ["wsgi.input"], limit + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return wrapped


def _read(stream: Any, at_most: int) -> bytes:
    body = bytearray()
    while len(body) < at_most and (part := stream.read(at_most - len(body))):
        body += part
    return bytes(body)
