"""A load generator that needs nothing installed: raw sockets that are kept alive.

Each client sends one request at a time.

Written for small JSON answers with a Content-Length; it checks every status and counts what is
not as expected. It shares the machine with the server, so rates are comparable, not absolute.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came back in one run."""

    seconds: float = 0.0
    answers: int = 0
    wrong: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return right answers a second."""
        return (self.answers - self.wrong) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


def post_request(path: str, body: bytes, token: str) -> bytes:
    """Return one POST as it goes on the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, requests: Sequence[bytes], *, seconds: float, status: int) -> Load:
    """Send each request again and again from a connection of its own, for ``seconds``."""
    return asyncio.run(_run(port, requests, seconds, status))


def spread(rates: list[float]) -> str:
    """Return the median of some rates and how far apart they lie."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"


async def _run(port: int, requests: Sequence[bytes], seconds: float, status: int) -> Load:
    load = Load()
    began = time.perf_counter()
    ends = began + seconds
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(_client(port, request, ends, str(status).encode(), load))
    load.seconds = time.perf_counter() - began
    return load


async def _client(port: int, request: bytes, ends: float, status: bytes, load: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while (sent := time.perf_counter()) < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            load.latencies.append(time.perf_counter() - sent)
            load.answers += 1
            load.wrong += head[9:12] != status
    finally:
        writer.close()


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + len(b"content-length:")
    return int(lower[start : lower.index(b"\r\n", start)])
