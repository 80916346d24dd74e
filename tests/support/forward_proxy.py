"""A real, small HTTP proxy on loopback as companies have them: tunnels and absolute form."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.listening import listening

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Seen:
    """One request as the proxy got it; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass(slots=True)
class ForwardProxy:
    """What it was asked; where every host lies; what it says instead of doing its work."""

    inside: int
    """The port on loopback that stands in for every host it is asked for."""
    authorization: str | None = None
    """What it wants as `Proxy-Authorization`; else it answers 407."""
    reply: Reply | None = None
    port: int = 0
    seen: list[Seen] = field(default_factory=list)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Methods and targets, in order."""
        return [(one.method, one.target) for one in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while await self._one(reader, writer):
            pass

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip("\r\n").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (f.partition(":") for f in fields)}
        self.seen.append(Seen(method, target, headers))
        if self.reply is not None:
            await self.reply(writer)
            return False
        if self.authorization not in (None, headers.get("proxy-authorization")):
            await says(407)(writer)
            return False
        there = await asyncio.open_connection("127.0.0.1", self.inside)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
                return False
            return await self._forward(line, fields, headers, reader, writer, there)
        finally:
            there[1].close()

    async def _forward(
        self,
        line: str,
        fields: list[str],
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        method, target, version = line.split(" ")
        path = "/" + target.split("://", 1)[1].partition("/")[2]
        kept = [one for one in fields if not one.lower().startswith("proxy-")]
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        there[1].write("\r\n".join([f"{method} {path} {version}", *kept, "", ""]).encode() + body)
        answer = await there[0].readuntil(b"\r\n\r\n")
        length = next(
            int(part.split(b":")[1])
            for part in answer.split(b"\r\n")
            if part.lower().startswith(b"content-length")
        )
        writer.write(answer + await there[0].readexactly(length))
        return True


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            to.write(data)
            await to.drain()
    to.close()


def says(status: int) -> Reply:
    """Answer with a status."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 3\r\n\r\nno\n".encode())
        await writer.drain()

    return reply


async def hangs(_writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""
    await asyncio.sleep(3_600)


async def closes(_writer: asyncio.StreamWriter) -> None:
    """Close."""


async def babbles(writer: asyncio.StreamWriter) -> None:
    """Speak another protocol."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@contextlib.asynccontextmanager
async def forward_proxy(
    inside: int, *, authorization: str | None = None, reply: Reply | None = None
) -> AsyncIterator[ForwardProxy]:
    """Serve on a free port of loopback."""
    proxy = ForwardProxy(inside, authorization, reply)
    async with listening(proxy.serve) as proxy.port:
        yield proxy
