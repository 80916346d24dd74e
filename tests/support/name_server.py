"""A real, small DNS server on loopback that answers each query as its script says (RFC 1035)."""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import IPv4Address
from typing import cast

_HEADER = struct.Struct("!6H")


class NameServer(asyncio.DatagramProtocol):
    """Answers the n-th query with the n-th set of addresses, the last one for ever after."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers: Iterator[list[str]] = iter(answers)
        self._last = answers[-1]
        self.queries = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        """Answer one query for A records with a time to live of 0."""
        self.queries += 1
        addresses = next(self._answers, self._last)
        ident = _HEADER.unpack_from(data)[0]
        head = _HEADER.pack(ident, 0x8180, 1, len(addresses), 0, 0)
        records = [
            struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + IPv4Address(text).packed
            for text in addresses
        ]
        self._transport.sendto(head + data[_HEADER.size :] + b"".join(records), addr)

    def resolve(self, host: str) -> list[str]:
        """Ask over UDP, blocking: what a Door takes as its resolver."""
        ident = secrets.randbelow(65_536)
        labels = b"".join(bytes([len(part)]) + part.encode() for part in host.split("."))
        query = _HEADER.pack(ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(query, self._transport.get_extra_info("sockname"))
            answer = sock.recv(4_096)
        count = _HEADER.unpack_from(answer)[3]
        return [str(IPv4Address(answer[len(query) + 16 * n + 12 :][:4])) for n in range(count)]


@contextlib.asynccontextmanager
async def name_server(*answers: list[str]) -> AsyncIterator[NameServer]:
    """Serve on a free UDP port of loopback."""
    make: Callable[[], NameServer] = lambda: NameServer(*answers)  # noqa: E731
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        make, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
