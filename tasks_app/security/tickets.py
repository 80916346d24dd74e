"""Stream tickets: 256 random bits that open one stream once, kept only as a SHA-256."""

import hashlib
import secrets
from typing import NamedTuple


class NewTicket(NamedTuple):
    """A ticket at the only moment its plain text is known."""

    plain: str
    digest: str

    def __repr__(self) -> str:
        return "NewTicket(…)"


def new_ticket() -> NewTicket:
    """Make a new ticket of 43 characters that need no quoting in a URL."""
    plain = secrets.token_urlsafe(32)
    return NewTicket(plain, digest(plain))


def digest(plain: str) -> str:
    """Hash a ticket as presented, whatever text it is, for the lookup: 64 hex digits."""
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()
