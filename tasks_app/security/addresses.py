"""Which IP addresses are outside, and so may be sent to: one table of our own.

`ipaddress.is_global` differs between Python 3.11, 3.12 and 3.13 and lets multicast, NAT64, 6to4 and
others pass, so it is not asked. IPv4 is open except what the IANA registries call not globally
reachable; IPv6 is closed except global unicast (2000::/3) less its reserved parts. An address that
carries an IPv4 address inside is judged by what it carries.

https://www.iana.org/assignments/iana-ipv4-special-registry/
https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from tasks_app.security.refusal import BlockedTarget

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CLOSED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # "this network"; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, Oracle's metadata among them
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's host, a public number for an inside service
    )
)

_OPEN_V6: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking …
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)

_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
    )
)
"""Cloud metadata: whole networks that are allowed (100.64/10, fc00::/7) do not open these."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = IPv6Network("::/96")
_SIIT: Final = IPv6Network("::ffff:0:0:0/96")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})


def read_networks(networks: Iterable[Network | str]) -> tuple[Network, ...]:
    """Read CIDRs, or networks as they are. Raises ValueError naming the one that is wrong."""
    return _read_networks(tuple(networks))


@lru_cache(maxsize=64)
def _read_networks(networks: tuple[Network | str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(network) for network in networks)


def read_literal(text: str) -> Address | None:
    """Read an address in its usual notation. None where the text is something else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Find the IPv4 address that a packet to this IPv6 address would in the end reach."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if any(address in net for net in (_NAT64, _LOCAL_NAT64, _SIIT)):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _COMPATIBLE and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _is_outside(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in net for net in _CLOSED_V4)
    if address.ipv4_mapped is not None or address in _NAT64:
        return True  # a plain IPv4 address in IPv6 clothes: what it carries decides
    return address in _OPEN_V6 and not any(address in net for net in _CLOSED_V6)


def _is_metadata(address: Address) -> bool:
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    return address in _METADATA or carried in _METADATA


def _is_listed(address: Address, networks: tuple[Network, ...]) -> bool:
    if _is_metadata(address):
        return any(net.num_addresses == 1 and address in net for net in networks)
    return any(address in net for net in networks)


@lru_cache(maxsize=8_192)
def is_listed(address: Address, networks: tuple[Network, ...]) -> bool:
    """Tell whether the operator's list opens this address, or the IPv4 address it stands for."""
    if _is_listed(address, networks):
        return True
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped is not None and _is_listed(mapped, networks)


@lru_cache(maxsize=8_192)
def _may_reach(address: Address, networks: tuple[Network, ...]) -> bool:
    if is_listed(address, networks):
        return True
    if not _is_outside(address):
        return False
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    return carried is None or _may_reach(carried, networks)


def vet_address(address: Address | str, allowed_networks: Iterable[Network | str] = ()) -> Address:
    """Give the address back where it may be sent to. Raises BlockedTarget where it may not.

    `allowed_networks` opens inside networks; a metadata service is opened only by its own /32 or
    /128. An address with a scope (`fe80::1%eth0`) is always refused.
    """
    parsed = read_literal(address) if isinstance(address, str) else address
    if parsed is None:
        raise BlockedTarget("address_invalid", "This is not an IP address.")
    scoped = isinstance(parsed, IPv6Address) and parsed.scope_id is not None
    if scoped or not _may_reach(parsed, read_networks(allowed_networks)):
        raise BlockedTarget("address_not_allowed", "The address is not one we may send to.")
    return parsed
