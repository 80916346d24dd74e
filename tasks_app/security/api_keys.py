"""API keys: 256 random bits, shown once, kept only as a SHA-256.

A plain hash is enough because the key is random, not chosen: there is nothing to guess faster.
"""

import hashlib
import secrets
from typing import Final, NamedTuple

_MARK: Final = "ac_"
_SHOWN: Final = len(_MARK) + 8


class NewApiKey(NamedTuple):
    """A key at the only moment its plain text is known."""

    plain: str
    prefix: str
    digest: str

    def __repr__(self) -> str:
        return f"NewApiKey(prefix={self.prefix!r})"


def new_api_key() -> NewApiKey:
    """Make a new key: `ac_` (found by secret scanners) and 43 random characters."""
    plain = _MARK + secrets.token_urlsafe(32)
    return NewApiKey(plain, prefix(plain), digest(plain))


def prefix(plain: str) -> str:
    """Give the first characters, which a list may show; at most half of a short key."""
    return plain[: min(_SHOWN, len(plain) // 2)]


def digest(plain: str) -> str:
    """Hash a key as presented, whatever text it is, for the lookup: 64 hex digits."""
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()
