"""Many WebSocket clients in one process, as cheap as they can be: they count frames.

``python -m tests.benchmarks.listeners URL KEY CLIENTS EVENTS`` prints ``ready`` once all are
connected and welcome, then one JSON line when each has EVENTS events or nothing came for 10 s.
One client in SAMPLE also reads the moment that each event's ``stamp:<seconds>`` tells.
"""

import asyncio
import json
import re
import sys
import time
from functools import partial
from urllib.parse import urlsplit

import uvloop

SAMPLE = 25
STAMP = re.compile(rb"stamp:([0-9.]+)")
PATIENCE_SECONDS = 10.0


class Listener(asyncio.Protocol):
    """One client."""

    def __init__(self, url: str, key: str, *, sampled: bool) -> None:
        self.url, self.key, self.sampled = urlsplit(url), key, sampled
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.frames = 0
        self.last = 0.0
        self.delays: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        request = (
            f"GET {self.url.path} HTTP/1.1\r\nHost: {self.url.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {self.key}\r\n\r\n"
        )
        transport.write(request.encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Count events."""
        self.buffer += data
        if not self.open.done():
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.buffer = rest
            self.open.set_result(None)
        self._take_frames()

    def _take_frames(self) -> None:
        buffer, at = self.buffer, 0
        while len(buffer) - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                if len(buffer) - at < 4:
                    break
                length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            if len(buffer) < start + length:
                break
            self._take(buffer[start : start + length])
            at = start + length
        self.buffer = buffer[at:]

    def _take(self, text: bytes) -> None:
        if b"stamp:" not in text:
            return  # a welcome, a ping
        self.frames += 1
        self.last = time.time()
        if self.sampled and (found := STAMP.search(text)):
            self.delays.append(self.last - float(found[1]))


def _same(listener: Listener) -> Listener:
    return listener


async def main(url: str, key: str, clients: int, events: int) -> None:
    """Connect, wait, report."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    listeners: list[Listener] = []
    for number in range(clients):
        listener = Listener(url, key, sampled=number % SAMPLE == 0)
        await loop.create_connection(
            partial(_same, listener), parts.hostname or "", parts.port or 80
        )
        listeners.append(listener)
        if number % 50 == 49:
            await listener.open
    await asyncio.gather(*(each.open for each in listeners))
    await asyncio.sleep(1)
    print("ready", flush=True)
    while min(each.frames for each in listeners) < events:
        newest = max(each.last for each in listeners)
        if newest and time.time() - newest > PATIENCE_SECONDS:
            break
        await asyncio.sleep(0.05)
    delays = sorted(delay for each in listeners for delay in each.delays)
    report = {
        "received": sum(each.frames for each in listeners),
        "finished": max(each.last for each in listeners),
        "p50_ms": round(delays[len(delays) // 2] * 1000, 1),
        "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 1),
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
