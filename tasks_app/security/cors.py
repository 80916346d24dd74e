"""Which other origins a browser may let read our answers (WHATWG Fetch, CORS protocol).

Never `*`: an origin is named or gets nothing, so credentials can be allowed.
"""

import re
from collections.abc import Collection
from typing import Final

EXPOSED: Final = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, Stream-Cursor,"
    " WWW-Authenticate, X-Request-ID"
)
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID,"
    " traceparent, X-CSRFToken, X-Request-ID, X-Workspace"
)
PREFLIGHT_SECONDS: Final = 600

_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?"
)


def check_origin(text: str) -> str:
    """Return an origin as browsers send it. Raises ValueError for anything else, also ``*``."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"{text!r} is not an origin such as https://app.example.org")
    return text


def cors_headers(origin: str, *, allowed: Collection[str]) -> dict[str, str]:
    """Return the headers of an answer to this origin; only ``Vary`` where it is not allowed."""
    if origin not in allowed:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
    }


def preflight_headers(origin: str, *, allowed: Collection[str]) -> dict[str, str]:
    """Return the headers of the answer to a preflight from this origin."""
    if origin not in allowed:
        return {"Vary": "Origin"}
    return {
        **cors_headers(origin, allowed=allowed),
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
