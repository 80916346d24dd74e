"""Secrets of destinations at rest: sealed under the key ring, each bound to its own row."""

import uuid
from functools import cache

from django.conf import settings

from tasks_app.security.encryption import KeyRing


@cache
def key_ring() -> KeyRing:
    """Return the ring of ENCRYPTION_KEYS; raises BadKeyRing where it is none."""
    return KeyRing.parse(",".join(settings.ENCRYPTION_KEYS))


def seal_secret(*, destination_id: uuid.UUID, plain: str) -> str:
    """Return what may be stored; it opens only for this destination."""
    return key_ring().encrypt(plain, context=_context(destination_id))


def open_secret(*, destination_id: uuid.UUID, sealed: str) -> str:
    """Return the plain secret.

    Raises tasks_app.security.encryption.WrongKey and Tampered.
    """
    return key_ring().decrypt(sealed, context=_context(destination_id))


def _context(destination_id: uuid.UUID) -> str:
    return f"destination:{destination_id}:secret"
