"""Which headers a destination may add: none that frames the message, names us or proves anything.

Names are tokens (RFC 9110 §5.6.2), values printable ASCII, so that nothing can be smuggled into
the request. Checked when a destination is saved and again before each send.
"""

import re
from collections.abc import Mapping, Sized
from typing import Final

MAX_HEADERS: Final = 20
MAX_VALUE_BYTES: Final = 1_024
MAX_NAME_BYTES: Final = 128

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")

RESERVED: Final = (
    frozenset({"host", "content-length", "transfer-encoding", "connection", "keep-alive"})
    | {"upgrade", "expect", "te", "trailer", "http2-settings", "user-agent", "cookie"}
    | {"content-type", "content-encoding", "accept-encoding", "idempotency-key", "traceparent"}
)
RESERVED_PREFIXES: Final = ("proxy-", "webhook-")


class BadHeader(ValueError):
    """A header that no destination may have. `name` is the offending one, "" for the whole set."""

    def __init__(self, name: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name
        self.code = code
        self.detail = detail


def is_reserved(name: str) -> bool:
    """Tell whether a header is ours to set."""
    lower = name.lower()
    return lower in RESERVED or lower.startswith(RESERVED_PREFIXES)


def count_headers(headers: Sized) -> None:
    """Refuse more than there may be. Raises BadHeader."""
    if len(headers) > MAX_HEADERS:
        raise BadHeader("", "too_many_headers", f"There are at most {MAX_HEADERS} headers.")


def vet_headers(headers: Mapping[str, str]) -> None:
    """Refuse what a destination may not send. Raises BadHeader.

    Codes: too_many_headers header_name_invalid header_reserved header_repeated
    header_value_invalid header_value_too_long.
    """
    count_headers(headers)
    seen: set[str] = set()
    for name, value in headers.items():
        _vet_name(name)
        _vet_value(name, value)
        if name.lower() in seen:
            raise BadHeader(name, "header_repeated", "A header is named once, in any case.")
        seen.add(name.lower())


def _vet_name(name: str) -> None:
    if len(name) > MAX_NAME_BYTES or not _TOKEN.fullmatch(name):
        raise BadHeader(name, "header_name_invalid", "This is not a header name.")
    if is_reserved(name):
        raise BadHeader(name, "header_reserved", "This header is set by us.")


def _vet_value(name: str, value: str) -> None:
    if len(value) > MAX_VALUE_BYTES:
        detail = f"A header value has at most {MAX_VALUE_BYTES} characters."
        raise BadHeader(name, "header_value_too_long", detail)
    if not _VALUE.fullmatch(value):
        raise BadHeader(
            name, "header_value_invalid", "A header value is printable ASCII, without outer spaces."
        )
