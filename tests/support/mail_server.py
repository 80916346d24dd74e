"""A real SMTP server on loopback (RFC 5321): it keeps what it took, and misbehaves as told."""

import asyncio
import contextlib
import email
import email.policy
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage

DEADLINE = 20.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message as it was handed over."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage


@dataclass(slots=True, eq=False)
class MailServer:
    """What came in. ``hangs`` keeps it from greeting; ``refuses`` is its answer to DATA's end."""

    port: int = 0
    letters: list[Letter] = field(default_factory=list)
    connections: int = 0
    hangs: bool = False
    refuses: str = ""
    accepted: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """What EMAIL_URL names it by."""
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client."""
        self.connections += 1
        self.accepted.set()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while self.hangs:
                await asyncio.sleep(0.01)
            writer.write(b"220 mail.test\r\n")
            await self._talk(reader, writer)
        writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, to = "", list[str]()
        while line := await reader.readline():
            verb, _, rest = line.decode().strip().partition(":")
            match verb.upper().split(" ")[0]:
                case "MAIL":
                    sender, to = rest.split(">")[0].strip(" <"), []
                case "RCPT":
                    to.append(rest.split(">")[0].strip(" <"))
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    writer.write(self._take(sender, to, body[:-3]))
                    continue
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    await writer.drain()
                    return
            writer.write(b"250 fine\r\n")

    def _take(self, sender: str, to: list[str], body: bytes) -> bytes:
        if self.refuses:
            return f"{self.refuses}\r\n".encode()
        read = email.message_from_bytes(body.replace(b"\r\n..", b"\r\n."), policy=email.policy.SMTP)
        assert isinstance(read, EmailMessage)
        self.letters.append(Letter(sender=sender, to=tuple(to), message=read))
        return b"250 taken\r\n"


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run one on a free port, in a thread of its own."""
    here, ready = MailServer(), threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(here.serve, "127.0.0.1", 0)
        here.port = server.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(DEADLINE)
        loop.close()
