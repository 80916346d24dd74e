"""Which URLs we may send to. Asked when a destination is saved and again before each send.

The URL is taken apart here, strictly, and rebuilt from its parts, so that no second parser further
down can read another host into it (RFC 3986 less everything that parsers disagree about). Numbers
that C libraries take for IPv4 addresses (decimal, octal, hex, short) are the addresses they mean.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import idna

from tasks_app.security.addresses import Address, Network, is_listed, read_networks, vet_address
from tasks_app.security.refusal import BlockedTarget

__all__ = [
    "BlockedTarget",
    "Target",
    "is_localhost",
    "vet_address",
    "vet_name_port",
    "vet_port",
    "vet_url",
]

MAX_URL_LENGTH: Final = 2_048

INSIDE_PORTS: Final = (
    # mail, shells, files, directories …
    frozenset({1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 110, 111})
    | {113, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 445, 465, 512, 513, 514, 515}
    | {548, 554, 587, 631, 636, 873, 993, 995}
    # … proxies, databases, caches, brokers and control planes
    | {1080, 1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 4222, 4369, 5432}
    | {5433, 5672, 5900, 5984, 6000, 6379, 6432, 6443, 6667, 8500, 9042, 9092, 9200, 9300, 10250}
    | {11211, 15672, 26379, 27017, 50000}
)
"""Ports of well-known inside services: closed unless the address is in an allowed network."""

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_DOTS: Final = str.maketrans({"。": ".", "．": ".", "｡": "."})
_SENDABLE: Final = "/?%:@!$&'()*+,;=-._~[]|^`{}\"<>"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `address` is set where the host is a literal address."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query as they go on the wire: ASCII, beginning with a slash."""
    address: Address | None

    @property
    def url(self) -> str:
        """The URL in its one normal form, with the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def vet_url(url: str, *, allowed_networks: Iterable[Network | str] = ()) -> Target:
    """Take a URL apart where we may send to it. Raises BlockedTarget where we may not.

    A name is not resolved here; the addresses behind it are vetted when the connection is made.
    """
    return _vet_url(url, read_networks(allowed_networks))


@lru_cache(maxsize=4_096)
def _vet_url(url: str, networks: tuple[Network, ...]) -> Target:
    target = parse_url(url)
    if target.address is not None:
        vet_address(target.address, networks)
        vet_port(target.port, address=target.address, allowed_networks=networks)
    elif is_localhost(target.host):
        vet_address(IPv4Address("127.0.0.1"), networks)
    elif not networks and target.port in INSIDE_PORTS:
        raise _port_refused(target.port)
    return target


def vet_port(port: int, *, address: Address, allowed_networks: tuple[Network, ...] = ()) -> None:
    """Refuse ports of inside services outside the allowed networks. Raises BlockedTarget."""
    if port in INSIDE_PORTS and not is_listed(address, allowed_networks):
        raise _port_refused(port)


def vet_name_port(port: int) -> None:
    """Refuse ports of inside services where the address stays unknown. Raises BlockedTarget."""
    if port in INSIDE_PORTS:
        raise _port_refused(port)


def _port_refused(port: int) -> BlockedTarget:
    return BlockedTarget("port_not_allowed", f"Port {port} is not one we send to.")


def is_localhost(host: str) -> bool:
    """Tell whether a name means this machine, whatever a name server says of it."""
    return host == "localhost" or host.endswith(".localhost")  # RFC 6761 §6.3


def parse_url(url: str) -> Target:
    """Take a URL apart without asking where it leads. Raises BlockedTarget."""
    _check_text(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise BlockedTarget("scheme_not_allowed", "The URL must begin with http:// or https://.")
    scheme = match["scheme"].lower()
    host, port_text = _split_authority(match["authority"])
    host = host if host.startswith("[") else _ascii(host)
    address = _literal(host)
    name = str(address) if address is not None else _name(host)
    return Target(scheme, name, _port(port_text, scheme), _path(match["rest"]), address)


def _check_text(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise BlockedTarget("url_too_long", f"A URL has at most {MAX_URL_LENGTH} characters.")
    # Categories C* and Z*: controls, invisible and unassigned characters, surrogates, all spaces.
    if "\\" in url or any(unicodedata.category(char)[0] in "CZ" for char in url):
        raise BlockedTarget("url_invalid", "The URL has a character that no URL may have.")
    if "#" in url:
        raise BlockedTarget("fragment_not_allowed", "The URL must have no fragment (#…).")


def _split_authority(authority: str) -> tuple[str, str | None]:
    """Split host and port; the brackets of an IPv6 address stay with the host."""
    if "@" in authority:
        raise BlockedTarget("userinfo_not_allowed", "The URL must have no user or password.")
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _host_refused()
        return host + "]", rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _host_refused() -> BlockedTarget:
    return BlockedTarget("host_invalid", "The URL's host is not a name or an address.")


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return _DEFAULT_PORT[scheme]
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise BlockedTarget("port_invalid", "A port is a number from 1 to 65535.")
    return int(text)


def _ascii(host: str) -> str:
    """Fold a host into the form that is resolved, shown to TLS and sent as Host.

    Full-width, circled and other look-alikes, and what IDNA drops, go before anybody asks whether
    this is an address: 127.0.0.1 with an invisible character after it is 127.0.0.1.
    """
    name = unicodedata.normalize("NFKC", host.translate(_DOTS)).translate(_DOTS).lower()
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise _host_refused() from None


def _literal(host: str) -> Address | None:
    """Read a literal address, in any notation. None where the host is a name."""
    if host.startswith("["):
        return _ipv6(host[1:-1])
    labels = host.split(".")
    # The WHATWG rule "ends in a number": such a host is an IPv4 address or nothing.
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    return _ipv4(labels)


def _ipv6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise _host_refused() from None
    if address.scope_id is not None:
        raise BlockedTarget("host_invalid", "The URL's address must have no zone (%…).")
    return address


def _ipv4(labels: list[str]) -> IPv4Address:
    """Read 1 to 4 decimal, octal or hex numbers as inet_aton(3) does."""
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        raise _host_refused()
    try:
        *heads, last = (_number(label) for label in labels)
    except ValueError:
        raise _host_refused() from None
    if any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        raise _host_refused()
    return IPv4Address(sum(head << (24 - 8 * i) for i, head in enumerate(heads)) + last)


def _number(label: str) -> int:
    if label[:2].lower() == "0x":
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label[0] == "0" else int(label)


def _name(name: str) -> str:
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _host_refused()
    return name


def _path(rest: str) -> str:
    path = rest if rest.startswith("/") else "/" + rest
    return quote(path, safe=_SENDABLE)
