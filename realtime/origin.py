"""Which pages may open a stream (RFC 6454): the page's own host, and those we are told of.

A browser sends cookies wherever it connects, so a foreign page is refused at the handshake
whatever it shows. Only programs send no Origin; they may use a header or a ticket, and a
cookie without an Origin is refused for WebSockets, which browsers never open without one.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def is_allowed(origin: str, *, host: str | None, also: list[str] | None = None) -> bool:
    """Tell whether a page of that origin may follow from the host it asked for."""
    if origin in [*settings.ALLOWED_ORIGINS, *(also or [])]:
        return True
    return host is not None and _is_own(origin, host)


def _is_own(origin: str, host: str) -> bool:
    """Compare host and port; the scheme is unknown behind a proxy that ends TLS."""
    try:
        parts = urlsplit(origin)
        port = str(parts.port or _PORTS.get(parts.scheme, ""))
    except ValueError:
        return False
    domain, host_port = split_domain_port(host.lower())
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return name == domain and port == (host_port or _PORTS.get(parts.scheme, ""))
