"""Secrets at rest: AES-256-GCM under a ring of named keys, bound to where the secret lives.

Text format, version 1: `v1:<key id>:<base64url(nonce ‖ ciphertext ‖ tag)>`, nonce 96 random bits.
The associated data is the caller's context (say `destination:<id>:secret`), so that a value moved
to another row does not open. Whatever is not exactly right raises; there is no fallback to plain
text.

EncryptionError
├── BadKeyRing   the configuration is not a key ring
├── WrongKey     the value names a key that the ring does not have
└── Tampered     the value, its context or the key behind its id is not the one it was made with
"""

import os
import re
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEPT: Final = 1_024
_LONG: Final = 16_384
_KEY: Final = re.compile(r"([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+=*)")
_VALUE: Final = re.compile(r"v1:([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]+=*)")


class EncryptionError(ValueError):
    """The value can't be encrypted or decrypted."""


class BadKeyRing(EncryptionError):
    """The key ring is not a list of id:base64(32 bytes) with unlike ids."""


class WrongKey(EncryptionError):
    """The value was encrypted with a key that is not in the ring."""


class Tampered(EncryptionError):
    """The value is not what was encrypted, or stands in another place."""


class KeyRing:
    """Keys by id: the first encrypts, all decrypt."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise BadKeyRing("a key ring has at least one key")
        if any(len(key) != _KEY_BYTES for key in keys.values()):
            raise BadKeyRing(f"an encryption key has {_KEY_BYTES} bytes")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))
        """The id of the key that encrypts."""
        self._opened = lru_cache(maxsize=_KEPT)(self._open)

    @classmethod
    def parse(cls, keys_given: str | Iterable[str]) -> "KeyRing":
        """Read `id:base64(32 bytes)` items, comma-separated where they are one text.

        Raises BadKeyRing, whose message never has a key in it.
        """
        keys: dict[str, bytes] = {}
        items = keys_given.split(",") if isinstance(keys_given, str) else keys_given
        for part in (item.strip() for item in items if item.strip()):
            match = _KEY.fullmatch(part)
            if match is None or match[1] in keys:
                raise BadKeyRing("a key ring is a list of id:base64(32 bytes) with unlike ids")
            keys[match[1]] = _decode_key(match[2])
        return cls(keys)

    def encrypt(self, plain: str, *, context: str) -> str:
        """Encrypt under the first key for this context only."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(
            nonce, plain.encode(), _associated(self.current, context)
        )
        return f"v1:{self.current}:{urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, value: str, *, context: str) -> str:
        """Decrypt what `encrypt` made for the same context. Raises WrongKey or Tampered.

        What was opened lately is kept in memory, by value and context together: a worker opens
        the same few secrets for every attempt.
        """
        return (self._open if len(value) > _LONG else self._opened)(value, context)

    def _open(self, value: str, context: str) -> str:
        key_id, sealed = _take_apart(value)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise WrongKey(f"the ring has no key {key_id!r}")
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, rest, _associated(key_id, context)).decode()
        except (InvalidTag, ValueError):
            raise Tampered("the value does not open with its key in this place") from None

    def is_current(self, value: str) -> bool:
        """Tell whether the value is encrypted under the first key. Raises Tampered."""
        return _take_apart(value)[0] == self.current

    def rotate(self, value: str, *, context: str) -> str:
        """Encrypt again under the first key; a current value is checked and given back as it is."""
        plain = self.decrypt(value, context=context)
        return value if self.is_current(value) else self.encrypt(plain, context=context)


def _decode_key(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise BadKeyRing("an encryption key is base64") from None


def _take_apart(value: str) -> tuple[str, bytes]:
    match = _VALUE.fullmatch(value)
    if match is None:
        raise Tampered("the value is not of the form v1:key:base64")
    try:
        return match[1], urlsafe_b64decode(match[2])
    except ValueError:
        raise Tampered("the value is not base64") from None


def _associated(key_id: str, context: str) -> bytes:
    return f"aftercommit\0v1\0{key_id}\0{context}".encode()
