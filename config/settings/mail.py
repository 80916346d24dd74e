"""Mail: notices to a workspace's owners, and whatever the mail connector sends. Seconds.

One variable says where it goes: an SMTP server, a folder of files, or the terminal.
"""

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from config.env import env
from config.url_password import with_password

BACKENDS: Final = "django.core.mail.backends."
SMTP: Final = {"smtp": 25, "smtp+tls": 587, "smtps": 465}  # the second one by STARTTLS


def email_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for a mail URL; raises ValueError where it is none.

    ``smtp://``, ``smtp+tls://`` (STARTTLS) or ``smtps://`` with ``user:password@host:port``,
    ``file:///folder``, ``console:`` or ``none:``.
    """
    parts = urlsplit(url)
    if parts.scheme in SMTP:
        return _smtp(url)
    if parts.scheme == "file" and parts.path:
        path = unquote(parts.path)
        return {"EMAIL_BACKEND": f"{BACKENDS}filebased.EmailBackend", "EMAIL_FILE_PATH": path}
    if url in {"console:", "none:"}:
        name = "console" if url == "console:" else "dummy"
        return {"EMAIL_BACKEND": f"{BACKENDS}{name}.EmailBackend"}
    raise ValueError("must be smtp://…, smtp+tls://…, smtps://…, file:///folder, console: or none:")


def _smtp(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if not parts.hostname or parts.path.strip("/") or parse_qsl(parts.query):
        raise ValueError("must name an SMTP server, as in smtp+tls://user:password@host:587")
    return {
        "EMAIL_BACKEND": f"{BACKENDS}smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or SMTP[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }


def sender(text: str) -> str:
    """Return an address to send from; raises ValueError where it is none."""
    try:
        validate_email(text)
    except ValidationError as error:
        raise ValueError(f"must be a mail address, not {text!r}.") from error
    return text


_mail = env.parsed(
    "EMAIL_URL",
    "console:",
    lambda url: email_settings(with_password(url, env.text("EMAIL_PASSWORD", ""))),
)
EMAIL_BACKEND: str = _mail["EMAIL_BACKEND"]
EMAIL_FILE_PATH: str | None = _mail.get("EMAIL_FILE_PATH")
EMAIL_HOST: str = _mail.get("EMAIL_HOST", "localhost")
EMAIL_PORT: int = _mail.get("EMAIL_PORT", 25)
EMAIL_HOST_USER: str = _mail.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD: str = _mail.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS: bool = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = env.integer("EMAIL_TIMEOUT", 10, low=1, high=60)  # for each step of SMTP
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.parsed(
    "EMAIL_FROM", "aftercommit@localhost.invalid", sender
)
