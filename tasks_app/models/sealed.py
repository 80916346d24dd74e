"""Secrets of destinations at rest: sealed under the key ring, each bound to its row and its place.

A value that is moved to another row, or to another column of its own row, does not open.
"""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from django.conf import settings

from tasks_app.models.destination import Destination
from tasks_app.security.encryption import EncryptionError, KeyRing, Tampered

PLACES: Final[Mapping[str, str]] = {
    "sealed_secret": "secret",
    "sealed_old_secret": "secret",
    "sealed_signing_key": "signing_key",
    "sealed_old_signing_key": "signing_key",
    "sealed_headers": "headers",
    "sealed_auth": "auth",
    "sealed_tls": "tls",
}
"""Each sealed column and what its values are bound to; an old secret was the current one once."""


@cache
def key_ring() -> KeyRing:
    """Return the ring of ENCRYPTION_KEYS; raises BadKeyRing where it is none."""
    return KeyRing.parse(",".join(settings.ENCRYPTION_KEYS))


def seal_secret(*, destination_id: uuid.UUID, plain: str, place: str = "secret") -> str:
    """Return what may be stored; it opens only for this destination and in this place."""
    return key_ring().encrypt(plain, context=context_of(destination_id, place))


def open_secret(*, destination_id: uuid.UUID, sealed: str, place: str = "secret") -> str:
    """Return the plain secret.

    Raises tasks_app.security.encryption.WrongKey and Tampered.
    """
    return key_ring().decrypt(sealed, context=context_of(destination_id, place))


def if_it_opens(destination: Destination, column: str) -> str:
    """Return a sealed column's value, or nothing where it does not open and is of no more use."""
    sealed: str = getattr(destination, column)
    try:
        open_secret(destination_id=destination.pk, sealed=sealed, place=PLACES[column])
    except EncryptionError:
        return ""
    return sealed


def seal_json(destination: Destination, place: str, value: Any) -> str:
    """Return a value sealed for ``sealed_<place>``; nothing for what is empty."""
    if not value:
        return ""
    text = orjson.dumps(value).decode()
    return seal_secret(destination_id=destination.pk, plain=text, place=place)


def open_json(destination: Destination, place: str) -> dict[str, Any]:
    """Return what ``sealed_<place>`` holds, or an empty object where there is none.

    Raises tasks_app.security.encryption.WrongKey and Tampered, also where the outline tells of
    something that is not there.
    """
    sealed: str = getattr(destination, f"sealed_{place}")
    if not sealed and getattr(destination, place):
        raise Tampered("what the outline tells of is not there")
    if not sealed:
        return {}
    text = open_secret(destination_id=destination.pk, sealed=sealed, place=place)
    opened: dict[str, Any] = orjson.loads(text)
    return opened


def context_of(destination_id: uuid.UUID, place: str) -> str:
    """Return what a value is bound to."""
    return f"destination:{destination_id}:{place}"
