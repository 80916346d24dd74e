"""A real, small DNS server on loopback, UDP and TCP, that answers each name as told (RFC 1035)."""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import cast

from tests.support.listening import listening

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5
_HEADER = struct.Struct("!6H")
_UDP_BYTES = 512


@dataclass(frozen=True, slots=True)
class Query:
    """One question, and how often it has been asked before."""

    ident: int
    name: str
    kind: int
    question: bytes
    before: int
    is_tcp: bool

    def answer(self, *addresses: str, code: int = 0, aliases: tuple[str, ...] = ()) -> bytes:
        """Answer with those of the addresses that are of the kind asked for; TTL 0.

        What does not fit into UDP is cut, and says so.
        """
        records, owner = [], self.name
        for alias in aliases:
            records.append(_record(owner, CNAME, _wire_name(alias)))
            owner = alias
        wanted = [ip_address(text) for text in addresses]
        version = {A: 4, AAAA: 6}.get(self.kind)
        records += [_record(owner, self.kind, a.packed) for a in wanted if a.version == version]
        reply = self._reply(records, code)
        is_cut = not self.is_tcp and len(reply) > _UDP_BYTES
        return self._reply([], code, is_cut=True) if is_cut else reply

    def _reply(self, records: list[bytes], code: int, *, is_cut: bool = False) -> bytes:
        flags = 0x8180 | code | (0x0200 if is_cut else 0)
        head = _HEADER.pack(self.ident, flags, 1, len(records), 0, 0)
        return head + self.question + b"".join(records)


Script = Callable[[Query], Awaitable[bytes | None]]

Zone = Mapping[str, Script] | Mapping[None, Script] | Mapping[str | None, Script]


def says(*sets: list[str], aliases: tuple[str, ...] = ()) -> Script:
    """Answer the n-th question with the n-th set of addresses, the last one for ever after."""

    async def answer(query: Query) -> bytes:
        return query.answer(*sets[min(query.before, len(sets) - 1)], aliases=aliases)

    return answer


def fails(code: int) -> Script:
    """Answer with an error."""

    async def answer(query: Query) -> bytes:
        return query.answer(code=code)

    return answer


def late(seconds: float, *addresses: str) -> Script:
    """Answer some time after the first question."""

    async def answer(query: Query) -> bytes:
        await asyncio.sleep(seconds)
        return query.answer(*addresses)

    return answer


async def silent(_query: Query) -> None:
    """Answer nothing."""


async def cut(query: Query) -> bytes | None:
    """Promise the answer over TCP, and say nothing there."""
    return None if query.is_tcp else query._reply([], 0, is_cut=True)


async def garbage(query: Query) -> bytes:
    """Answer with the right number and nonsense after it."""
    return struct.pack("!H", query.ident) + b"\xff" * 40


@dataclass(slots=True)
class NameServer:
    """What was asked, and the answers by name; `None` is for every other name."""

    zone: dict[str | None, Script]
    port: int = 0
    asked: "Counter[tuple[str, int]]" = field(default_factory=Counter)

    @property
    def address(self) -> str:
        """What a resolver is told."""
        return f"127.0.0.1:{self.port}"

    @property
    def queries(self) -> int:
        """How often an IPv4 address was asked for."""
        return sum(count for (_, kind), count in self.asked.items() if kind == A)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection (RFC 7766 §8: two bytes of length before each message)."""
        while True:
            [size] = struct.unpack("!H", await reader.readexactly(2))
            reply = await self.reply(await reader.readexactly(size), is_tcp=True)
            if reply is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)

    async def reply(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        """Read one question and answer it."""
        name, end = _read_name(data, _HEADER.size)
        [kind] = struct.unpack_from("!H", data, end)
        [ident] = struct.unpack_from("!H", data)
        key = (name.lower(), kind)
        question = data[_HEADER.size : end + 4]
        query = Query(ident, name, kind, question, self.asked[key], is_tcp)
        if not is_tcp:
            self.asked[key] += 1
        script = self.zone.get(name.lower()) or self.zone.get(None) or fails(NXDOMAIN)
        return await script(query)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str | None, int]) -> None:
        reply = await self._server.reply(data, is_tcp=False)
        if reply is not None and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


@contextlib.asynccontextmanager
async def name_server(*answers: list[str], zone: Zone | None = None) -> AsyncIterator[NameServer]:
    """Serve on a free port of loopback: `answers` to every name, or a zone's to each of its own."""
    every: dict[str | None, Script] = {None: says(*answers)} if answers else {}
    every.update(zone or {})  # type: ignore[arg-type]
    server = NameServer(every)

    async with contextlib.AsyncExitStack() as stack:
        transport = None
        while transport is None:  # until a number is free for both
            server.port = await stack.enter_async_context(listening(server.serve))
            with contextlib.suppress(OSError):
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Datagrams(server), local_addr=("127.0.0.1", server.port)
                )
        try:
            yield server
        finally:
            transport.close()


def _record(owner: str, kind: int, data: bytes) -> bytes:
    return _wire_name(owner) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def _wire_name(name: str) -> bytes:
    labels = (bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return b"".join(labels) + b"\0"


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    labels = []
    while size := data[at]:
        labels.append(data[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(labels), at + 1
