"""What the operator says of the way out, read strictly: `OUTBOUND_PROXY`, `OUTBOUND_DNS_SERVERS`.

The proxy's password is in no text that we ever write, also not in a complaint about it.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote

_PROXY: Final = re.compile(
    r"http://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)

_SERVER: Final = re.compile(
    r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
)
_PORTS: Final = range(1, 65_536)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundProxy:
    """An HTTP proxy that the operator trusts; its own address is not vetted."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    resolves: bool = False
    """The proxy is told names, and must itself refuse inside addresses; else it is told the
    address that we have vetted.
    """


def read_proxy(text: str, *, resolves: bool = False) -> OutboundProxy | None:
    """Read `http://user:password@host:port`, both parts percent-encoded where they must be.

    None where there is no text. Raises ValueError without a word of the text.
    """
    if not text:
        return None
    match = _PROXY.fullmatch(text)
    if match is None or int(match["port"]) not in _PORTS:
        raise ValueError("a proxy is http://host:port or http://user:password@host:port")
    user, password = (unquote(match[part] or "") for part in ("user", "password"))
    if ":" in user or not (user + password).isprintable():
        raise ValueError("the proxy's user or password has a character that can't be sent")
    return OutboundProxy(
        host=match["host"].strip("[]").lower(),
        port=int(match["port"]),
        user=None if match["user"] is None else user,
        password=password,
        resolves=resolves,
    )


def read_name_servers(text: str) -> list[str]:
    """Read `192.0.2.53, 192.0.2.54:5353, [2001:db8::53]:53`. Raises ValueError naming the wrong."""
    return [_name_server(item.strip()) for item in text.split(",") if item.strip()]


def _name_server(text: str) -> str:
    match = _SERVER.fullmatch(text)
    if match is None or int(match["port"] or 53) not in _PORTS:
        raise ValueError(f"{text!r} is not a name server: 192.0.2.53, 192.0.2.53:5353, [::1]:53")
    if match["v4"]:
        return f"{IPv4Address(match['v4'])}:{match['port'] or 53}"
    return f"[{IPv6Address(match['v6'])}]:{match['port'] or 53}"
