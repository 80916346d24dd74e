"""Asks name servers over UDP and TCP without threads (c-ares): a silent name costs a few KB.

`getaddrinfo` has no timeout and can't be cancelled: each silent name holds a thread for half a
minute, so some dozens of them starve all others, however the threads are shared. c-ares reads
what users expect to be read (/etc/hosts, /etc/resolv.conf with its search domains and `ndots`,
and their changes); names that only other modules of nsswitch.conf know (mDNS, NIS) it can't find.
"""

import socket
from collections.abc import Sequence
from typing import Final

import aiodns
from aiodns.error import ARES_ECONNREFUSED, ARES_ETIMEOUT, DNSError

TRIES: Final = 5
"""c-ares waits 5 times the usual answer's time (at least 250 ms) and doubles that for each try, so
that five tries outlast our 5 s for connecting; an answer to an earlier try is taken as well."""

_ENV_HOSTS: Final = 1 << 8  # ARES_AI_ENVHOSTS of ares.h: $CARES_HOSTS in place of /etc/hosts


class NoNameServer(OSError):
    """Our own name servers can't be reached: no fault of the name."""


class NameServers:
    """One resolver of one event loop. `servers` ("192.0.2.53", "[2001:db8::53]:5353") replace
    those of /etc/resolv.conf.
    """

    def __init__(self, *, servers: Sequence[str] = ()) -> None:
        self._servers = list(servers)
        self._resolver: aiodns.DNSResolver | None = None

    async def resolve(self, host: str) -> list[str]:
        """Give every address of a name, of both families, in the order of RFC 6724.

        Raises TimeoutError where the servers are silent, NoNameServer and OSError.
        """
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(nameservers=self._servers or None, tries=TRIES)
        try:
            found = await self._resolver.getaddrinfo(
                host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM, flags=_ENV_HOSTS
            )
        except DNSError as error:
            raise _meaning(error) from error
        return list(dict.fromkeys(node.addr[0].decode("ascii") for node in found.nodes))

    async def aclose(self) -> None:
        """Drop the questions under way."""
        if self._resolver is not None:
            await self._resolver.close()


def _meaning(error: DNSError) -> OSError:
    code = error.args[0]
    if code == ARES_ETIMEOUT:
        return TimeoutError()
    if code == ARES_ECONNREFUSED:
        return NoNameServer("no name server can be reached")
    return OSError("the name has no address")
