"""Standard Webhooks signatures: what we send can be checked by any of its public libraries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
The signed content is `id.timestamp.body`. What signs decides how, by its prefix:

| prefix | holds, in base64 | signature |
| --- | --- | --- |
| `whsec_` | a shared secret of 24 to 64 bytes | `v1,` + base64(HMAC-SHA256) |
| `whsk_` | an ed25519 private key: seed and public key, 64 bytes | `v1a,` + base64(ed25519) |
| `whpk_` | the public key of one, 32 bytes: verifies only | |

While something is being rotated there are several signatures, separated by a space, and any one
is enough.
"""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TOLERANCE_SECONDS: Final = 300
"""How far a timestamp may lie from now, in either direction."""

_SHARED: Final = "whsec_"
_PRIVATE: Final = "whsk_"
_PUBLIC: Final = "whpk_"
_SIZES: Final = {_SHARED: range(24, 65), _PRIVATE: range(64, 65), _PUBLIC: range(32, 33)}


class BadSecret(ValueError):
    """This is not a `whsec_`, `whsk_` or `whpk_` text of the right size, or not for this use."""


class BadSignature(ValueError):
    """No signature fits the message, its timestamp is out of tolerance, or a header is missing."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key pair as Standard Webhooks writes it down."""

    private: str = field(repr=False)
    public: str


def new_secret() -> str:
    """Make a new shared secret of 32 random bytes."""
    return _SHARED + b64encode(os.urandom(32)).decode()


def new_key_pair() -> KeyPair:
    """Make a new ed25519 key pair."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    pair = b64encode(private.private_bytes_raw() + public).decode()
    return KeyPair(_PRIVATE + pair, _PUBLIC + b64encode(public).decode())


def check_secret(secret: str) -> None:
    """Raise BadSecret where a secret could not verify anything: `whsec_` and `whpk_` can."""
    if _prefix(secret) == _PRIVATE:
        raise BadSecret("a private key does not verify; its public key does")
    _read(secret)


def sign(*, secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Make the value of `webhook-signature`: one signature for each secret or key, in their order.

    `timestamp` is in Unix seconds. Raises BadSecret, also where there is nothing to sign with, and
    ValueError for an id with a full stop, which would make the signed content ambiguous.
    """
    if "." in message_id:
        raise ValueError("a message id has no full stop")
    content = _content(message_id, str(timestamp), body)
    signatures = [_sign_once(secret, content) for secret in secrets]
    if not signatures:
        raise BadSecret("a message is signed with at least one secret")
    return " ".join(signatures)


def verify(*, secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Check a received message against any of the secrets (`whsec_`) and public keys (`whpk_`).

    `headers` has lower-case names; `now` is in Unix seconds. Comparison is constant time. Raises
    BadSignature and BadSecret.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()
    if not (message_id and timestamp and any(one.startswith(("v1,", "v1a,")) for one in given)):
        raise BadSignature("webhook-id, webhook-timestamp or a signature is missing")
    _check_age(timestamp, now)
    content = _content(message_id, timestamp, body)
    if not any(_verifies(secret, content, given) for secret in secrets):
        raise BadSignature("no signature fits")


def _prefix(secret: str) -> str:
    for prefix in _SIZES:
        if secret.startswith(prefix):
            return prefix
    raise BadSecret(f"a secret begins with {', '.join(_SIZES)}")


@lru_cache(maxsize=4_096)
def _read(secret: str) -> bytes:
    prefix = _prefix(secret)
    try:
        key = b64decode(secret.removeprefix(prefix), validate=True)
    except (Base64Error, ValueError):
        raise BadSecret("a secret is base64 after its prefix") from None
    sizes = _SIZES[prefix]
    if len(key) not in sizes:
        raise BadSecret(f"after {prefix} there are {sizes.start} to {sizes.stop - 1} bytes")
    return key


@lru_cache(maxsize=4_096)
def _private_key(secret: str) -> Ed25519PrivateKey:
    pair = _read(secret)
    private = Ed25519PrivateKey.from_private_bytes(pair[:32])
    if private.public_key().public_bytes_raw() != pair[32:]:
        raise BadSecret("the halves of a key pair belong together")
    return private


def _sign_once(secret: str, content: bytes) -> str:
    match _prefix(secret):
        case "whsec_":
            return "v1," + b64encode(hmac.digest(_read(secret), content, hashlib.sha256)).decode()
        case "whsk_":
            return "v1a," + b64encode(_private_key(secret).sign(content)).decode()
    raise BadSecret("a public key signs nothing")


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _verifies(secret: str, content: bytes, given: list[str]) -> bool:
    if _prefix(secret) == _PUBLIC:
        key = Ed25519PublicKey.from_public_bytes(_read(secret))
        return any(_fits_key(key, one[4:], content) for one in given if one.startswith("v1a,"))
    check_secret(secret)
    # Bytes, because compare_digest refuses non-ASCII text and a stranger chooses it.
    expected = _sign_once(secret, content).encode()
    return any(hmac.compare_digest(expected, one.encode()) for one in given)


def _fits_key(key: Ed25519PublicKey, signature: str, content: bytes) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_age(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise BadSignature("webhook-timestamp is not a number of seconds")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("webhook-timestamp is too far from now")
