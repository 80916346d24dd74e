"""Key rings of a test's own: what seals and opens for as long as it says."""

import contextlib
import os
from base64 import b64encode
from collections.abc import Iterator

from pytest_django.fixtures import Settings

from tasks_app.models.sealed import key_ring


@contextlib.contextmanager
def keys(settings: Settings, *ring: str) -> Iterator[None]:
    """Let this process have that key ring for a while."""
    before = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = list(ring)
    key_ring.cache_clear()
    try:
        yield
    finally:
        settings.ENCRYPTION_KEYS = before
        key_ring.cache_clear()


def new_key(name: str) -> str:
    """Return a key as ENCRYPTION_KEYS takes it."""
    return f"{name}:{b64encode(os.urandom(32)).decode()}"
