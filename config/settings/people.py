"""Accounts: where the links in mails lead, and for how long they hold. Seconds."""

from urllib.parse import urlsplit

from config.env import env


def public_address(text: str) -> str:
    """Return an http(s) origin without its last slash; raises ValueError where it is none."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be where people find this, as in https://tasks.example.org")
    return text.rstrip("/")


# Never what a request calls us: whoever asks for somebody else's password link sends that Host.
PUBLIC_URL = env.parsed(
    "PUBLIC_URL", f"http://localhost:{env.text('PORT', '8000')}", public_address
)
PASSWORD_RESET_TIMEOUT = 3600
