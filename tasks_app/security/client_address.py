"""Whose address a request comes from, for limits by address; never to be trusted for rights."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

#: One household or server gets a whole /64 (RFC 6177), so its addresses count as one.
_IPV6_SITE: Final = 64


def client_address(meta: Mapping[str, Any]) -> str:
    """Return the client's address from a WSGI environment; an IPv6 one as its /64.

    The proxy writes X-Forwarded-For anew, so its last entry is what it saw itself. It is read
    only where the peer is inside (loopback or a private network), as the proxy is: whoever comes
    from outside without a proxy can claim nothing.
    """
    peer = _read(str(meta.get("REMOTE_ADDR") or ""))
    told = _read(str(meta.get("HTTP_X_FORWARDED_FOR") or "").rpartition(",")[2])
    found = told if told is not None and (peer is None or not peer.is_global) else peer
    if found is None:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, _IPV6_SITE), strict=False))
    return str(found)


def _read(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
