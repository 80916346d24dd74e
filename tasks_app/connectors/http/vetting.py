"""The addresses behind a name, every one of them vetted: one that is refused refuses all."""

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from tasks_app.connectors.names import Names
from tasks_app.security.addresses import Address, Network, is_listed
from tasks_app.security.ssrf import is_localhost, vet_address, vet_port

_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


async def vetted_addresses(
    host: str, *, port: int, names: Names, networks: tuple[Network, ...]
) -> tuple[Address, ...]:
    """Look a name up and vet what is found. Raises BlockedTarget and OSError.

    `localhost` is not looked up (RFC 6761 §6.3); as nobody chose its second address, that one
    refuses nothing where only the first is allowed.
    """
    if is_localhost(host):
        found = tuple(one for one in _LOOPBACK if is_listed(one, networks)) or _LOOPBACK
    else:
        found = await names.addresses(host)
    for address in found:
        vet_address(address, networks)
        vet_port(port, address=address, allowed_networks=networks)
    return found
