"""A real little SMTP server (RFC 5321) in a thread of its own; it refuses and stalls as told."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

DEADLINE = 20.0  # seconds
Said = Callable[[str], str | None]


@dataclass(slots=True, eq=False)
class SmtpServer:
    """What came. ``says`` may answer a command itself: a reply, or "" for none at all."""

    port: int = 0
    says: Said | None = None
    greeting: str = "220 here"
    drips: bool = False
    tls: ssl.SSLContext | None = None  # by STARTTLS, or with ``from_the_start``
    from_the_start: bool = False
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it goes, or until we do."""
        try:
            await self._speak(reader, writer)
        finally:
            writer.transport.abort()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._greet(writer)
            to: list[str] = []
            while line := _command(await reader.readline()):
                self.commands.append(line)
                reply = self._reply(line, to)
                if reply == "drop":
                    break
                if reply:
                    await _say(writer, reply)
                if reply.startswith("354"):
                    await self._take(reader, writer, to)
                    to = []
                if line == "STARTTLS" and self.tls is not None:
                    await writer.start_tls(self.tls)
                if line == "QUIT":
                    break

    async def _greet(self, writer: asyncio.StreamWriter) -> None:
        while self.drips:
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.02)
        await _say(writer, self.greeting)

    def _reply(self, line: str, to: list[str]) -> str:
        own = self.says(line) if self.says is not None else None
        if own is not None:
            return own
        verb = line.partition(" ")[0]
        if verb == "RCPT":
            to.append(line.partition("<")[2].partition(">")[0])
        hello = "250-here\r\n250 STARTTLS" if self.tls is not None else "250 here"
        known = {"DATA": "354 go on", "QUIT": "221 bye", "EHLO": hello, "STARTTLS": "220 go on"}
        return known.get(verb, "250 ok")

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: list[str]
    ) -> None:
        data = await reader.readuntil(b"\r\n.\r\n")
        reply = self.says(".") if self.says is not None else None
        if reply is None or reply == "taken":
            parsed: Any = message_from_bytes(data[:-5], policy=policy.default)
            self.messages.append(parsed)
            self.recipients.append(to)
        if reply is None:
            await _say(writer, "250 taken")
        elif reply == "taken":
            raise ConnectionResetError  # taken, and the answer lost
        elif reply:
            await _say(writer, reply)


def _command(line: bytes) -> str:
    """Return a command with its verb in capitals."""
    verb, blank, rest = line.decode().rstrip("\r\n").partition(" ")
    return f"{verb.upper()}{blank}{rest}"


async def _say(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(f"{text}\r\n".encode())
    await writer.drain()


@contextlib.contextmanager
def smtp_server(**options: Any) -> Iterator[SmtpServer]:
    """Listen on a free port of loopback."""
    here, ready = SmtpServer(**options), threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        running: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(here.serve(reader, writer))
            running.add(task)
            with contextlib.suppress(asyncio.CancelledError):
                await task

        tls = here.tls if here.from_the_start else None
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        here.port = server.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)  # for what was aborted to be let go

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(DEADLINE)
        loop.close()
