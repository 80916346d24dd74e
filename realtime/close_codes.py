"""Why a stream ends. 4000-4499: reconnect and resume; 4500-4999: don't (contract §6)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Close:
    """A WebSocket close code (RFC 6455 §7.4) with its reason; SSE sends both in `bye`."""

    code: int
    reason: str


GOING_AWAY = Close(4001, "server going away")
TOO_SLOW = Close(4008, "too slow: too much waits for you")
TOO_OLD = Close(4009, "this stream has reached its age")
TOO_MANY_MESSAGES = Close(4029, "too many messages a second")
BAD_CREDENTIALS = Close(4501, "bad or missing credentials")
REVOKED = Close(4502, "access revoked or expired")
NO_WORKSPACE = Close(4503, "no such workspace")
TOO_BIG = Close(1009, "message too big")
BROKEN = Close(1011, "internal error")
