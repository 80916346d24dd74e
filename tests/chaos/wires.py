"""TCP proxies of the suite's own: bytes pass, are cut off, or stop without a word.

One thread with one event loop carries all of them; ``cut`` resets what is open, ``silence``
keeps connections open and new ones accepted while nothing passes, ``close`` refuses.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from config.embedded.ports import free_port

T = TypeVar("T")
CHUNK = 64 * 1024


class Wire:
    """One listening port that leads to another."""

    def __init__(self, *, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> int:
        """Reset every open connection at both ends; returns how many there were."""
        pairs = list(self._pairs)
        for pair in pairs:
            for writer in pair:
                _reset(writer)
        return len(pairs)

    async def silence(self) -> None:
        """Let nothing pass until ``speak``; connections stay, and new ones are accepted."""
        self._passes.clear()

    async def speak(self) -> None:
        """Let bytes pass again, those that were held back first."""
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._passes.wait()
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        pair = (writer, to_there)
        self._pairs.add(pair)
        ways = [self._pass(reader, to_there), self._pass(there, writer)]
        try:
            await asyncio.gather(*ways)
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.close()


class Wires:
    """The thread that carries every wire."""

    def __init__(self) -> None:
        self._wires: list[Wire] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._thread.start()

    def lead_to(self, target: int) -> Wire:
        """Return a wire that leads to a port of loopback."""
        wire = Wire(port=free_port(), target=target)
        self._wires.append(wire)
        self.do(wire.open)
        return wire

    def do(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something to a wire from any thread."""
        return asyncio.run_coroutine_threadsafe(what(), self._loop).result(30)

    def close(self) -> None:
        """End the thread; what is open is cut."""
        self.do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for wire in self._wires:
            await wire.shut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    plug = writer.get_extra_info("socket")
    if plug is not None and plug.fileno() >= 0:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
