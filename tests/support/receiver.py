"""A real receiver on loopback that misbehaves as told: each script is one way to be a bad peer."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Script = Callable[["Exchange"], Awaitable[None]]

HUGE = 10**12


@dataclass(slots=True, kw_only=True)
class Request:
    """One request as it came off the wire; header names are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes
    local: str


@dataclass(slots=True)
class Exchange:
    """One request and the socket to answer on, or not."""

    request: Request
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        """Write bytes as they are and wait until the socket takes more."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int = 200, body: bytes = b"ok", **headers: str) -> None:
        """Answer properly."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.say("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(slots=True)
class Receiver:
    """What came in."""

    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"


@contextlib.asynccontextmanager
async def receiver(
    script: Script, *, tls: ssl.SSLContext | None = None, hosts: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[Receiver]:
    """Listen on a free port; the script runs once for each request."""
    here = Receiver(port=0)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        here.connections += 1
        try:
            while (request := await _read(reader, writer)) is not None:
                here.requests.append(request)
                await script(Exchange(request, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.transport.abort()

    servers: list[asyncio.Server] = []
    try:
        for host in hosts:
            servers.append(await asyncio.start_server(serve, host, here.port, ssl=tls))
            here.port = servers[0].sockets[0].getsockname()[1]
        yield here
    finally:
        for server in servers:
            server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    local = writer.get_extra_info("sockname")[0]
    return Request(line=line, headers=headers, body=body, local=local)


@contextlib.asynccontextmanager
async def silent_listener() -> AsyncIterator[int]:
    """A port that accepts (the kernel does) and never reads or says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def well(exchange: Exchange) -> None:
    """Behave."""
    await exchange.answer()


async def silence(exchange: Exchange) -> None:
    """Take the request and never answer."""
    await asyncio.sleep(3_600)


async def slow_headers(exchange: Exchange) -> None:
    """Send the head byte by byte, never the last one."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        await exchange.say(b"y")
        await asyncio.sleep(0.02)


async def drip_body(exchange: Exchange) -> None:
    """Send the body byte by byte, for ever."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
    while True:
        await exchange.say(b"y")
        await asyncio.sleep(0.02)


async def endless_body(exchange: Exchange) -> None:
    """Send as fast as the peer reads."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n%s\r\n" % (65_536, b"y" * 65_536)
    while True:
        await exchange.say(chunk)


async def endless_continue(exchange: Exchange) -> None:
    """Send interim answers for ever."""
    while True:
        await exchange.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.005)


async def many_headers(exchange: Exchange) -> None:
    """Send 10,000 headers."""
    head = "".join(f"X-{n}: y\r\n" for n in range(10_000))
    await exchange.say(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n".encode())


async def huge_header(exchange: Exchange) -> None:
    """Send one header of a megabyte."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2**20 + b"\r\nContent-Length: 0\r\n\r\n")


async def nul_and_broken_text(exchange: Exchange) -> None:
    """Send NUL bytes and what is no UTF-8."""
    await exchange.answer(body=b"a\0b\xff\xfec")


async def reset_before(exchange: Exchange) -> None:
    """Reset instead of answering."""
    exchange.reset()


async def close_before(exchange: Exchange) -> None:
    """Close instead of answering."""
    exchange.writer.close()


async def reset_within(exchange: Exchange) -> None:
    """Reset in the middle of the body."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.sleep(0.05)
    exchange.reset()


async def too_short(exchange: Exchange) -> None:
    """Promise more than is sent, and close."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.writer.close()


async def no_http(exchange: Exchange) -> None:
    """Speak another protocol."""
    await exchange.say(b"-ERR unknown command 'POST'\r\n")
    exchange.writer.close()


async def bad_chunk(exchange: Exchange) -> None:
    """Send a chunk whose size is no number, some time after the head."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await asyncio.sleep(0.05)
    await exchange.say(b"zz\r\nhello\r\n")
    await asyncio.sleep(3_600)


async def two_lengths(exchange: Exchange) -> None:
    """Contradict oneself about where the answer ends."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")


async def switch_protocols(exchange: Exchange) -> None:
    """Take the connection over."""
    await exchange.say(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")


async def gzip_bomb(exchange: Exchange) -> None:
    """Send 64 MiB of zeros as a few KiB, although nobody asked for gzip."""
    bomb = gzip.compress(bytes(64 * 2**20), 9)
    await exchange.answer(body=bomb, Content_Encoding="gzip")
