"""The id of the request at hand, in every log line, on its events and at destinations."""

import re
import uuid
from contextvars import ContextVar

SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# W3C Trace Context §3.2: version, trace-id, parent-id, flags.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

current: ContextVar[str] = ContextVar("request_id", default="")


def accept(offered: str | None) -> str:
    """Return the caller's id where it is sane, a new one otherwise."""
    if offered and SANE.fullmatch(offered):
        return offered
    return uuid.uuid4().hex


def accept_traceparent(offered: str | None) -> str:
    """Return the caller's ``traceparent`` where it is well-formed, else an empty text."""
    return offered if offered and TRACEPARENT.fullmatch(offered) else ""
