"""Standard Webhooks v1 signatures: what we send can be checked by any of its public libraries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
The signed content is `id.timestamp.body`, the signature `v1,` + base64(HMAC-SHA256), and a secret
`whsec_` + base64 of 24 to 64 bytes. While a secret is being rotated there are two signatures,
separated by a space, and either is enough.
"""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

TOLERANCE_SECONDS: Final = 300
"""How far a timestamp may lie from now, in either direction."""

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = range(24, 65)


class BadSecret(ValueError):
    """This is not a `whsec_` secret of 24 to 64 bytes."""


class BadSignature(ValueError):
    """No signature fits the message, its timestamp is out of tolerance, or a header is missing."""


def new_secret() -> str:
    """Make a new secret of 32 random bytes."""
    return _PREFIX + b64encode(os.urandom(32)).decode()


@lru_cache(maxsize=4_096)
def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise BadSecret(f"a secret begins with {_PREFIX}")
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (Base64Error, ValueError):
        raise BadSecret("a secret is base64 after its prefix") from None
    if len(key) not in _SECRET_BYTES:
        raise BadSecret("a secret holds 24 to 64 bytes")
    return key


def check_secret(secret: str) -> None:
    """Raise BadSecret where a secret could not sign anything."""
    _key(secret)


def _sign_once(secret: str, content: bytes) -> str:
    digest = hmac.digest(_key(secret), content, hashlib.sha256)
    return "v1," + b64encode(digest).decode()


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def sign(*, secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Make the value of `webhook-signature`: one signature for each secret, current one first.

    `timestamp` is in Unix seconds. Raises BadSecret, also where there is no secret at all, and
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
    """Check a received message against any of the secrets; comparison is constant time.

    `headers` has lower-case names; `now` is in Unix seconds. Raises BadSignature and BadSecret.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = [part for part in headers.get("webhook-signature", "").split() if part[:3] == "v1,"]
    if not (message_id and timestamp and given):
        raise BadSignature("webhook-id, webhook-timestamp or a v1 signature is missing")
    _check_age(timestamp, now)
    content = _content(message_id, timestamp, body)
    if not any(_fits(_sign_once(secret, content), given) for secret in secrets):
        raise BadSignature("no signature fits")


def _check_age(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise BadSignature("webhook-timestamp is not a number of seconds")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("webhook-timestamp is too far from now")


def _fits(expected: str, given: list[str]) -> bool:
    # Bytes, because compare_digest refuses non-ASCII text and a stranger chooses it.
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)
