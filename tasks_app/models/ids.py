"""Ids that users see: UUIDv7, time-ordered (RFC 9562 §5.7), made by one function."""

import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """Return a UUID of the current millisecond and 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (random >> 62) << 64
    value |= 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=value)
