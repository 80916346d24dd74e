"""What a follower may do, and how long the stream waits for it: one object, from the settings."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and bytes; what the contract promises in §6."""

    frame_bytes: int
    buffer_bytes: int
    messages_per_second: int
    max_age: float
    heartbeat: float
    stall: float
    look: float
    recheck: float
    drain: float
    page: int

    def announced(self) -> dict[str, Any]:
        """Return what the welcome tells a client."""
        return {
            "frame_bytes": self.frame_bytes,
            "buffer_bytes": self.buffer_bytes,
            "messages_per_second": self.messages_per_second,
            "max_age_seconds": int(self.max_age),
            "heartbeat_seconds": int(self.heartbeat),
        }


def limits_from_settings() -> Limits:
    """Return the limits of this process."""
    return Limits(
        frame_bytes=settings.STREAM_FRAME_BYTES,
        buffer_bytes=settings.STREAM_BUFFER_BYTES,
        messages_per_second=settings.STREAM_MESSAGES_PER_SECOND,
        max_age=settings.STREAM_MAX_AGE_SECONDS,
        heartbeat=settings.STREAM_HEARTBEAT_SECONDS,
        stall=settings.STREAM_STALL_SECONDS,
        look=settings.STREAM_LOOK_SECONDS,
        recheck=settings.STREAM_RECHECK_SECONDS,
        drain=settings.STREAM_DRAIN_SECONDS,
        page=settings.STREAM_PAGE,
    )
