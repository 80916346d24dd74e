"""Every hostile receiver at once, on loopback, some behind names of their own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from tests.support import hostile as evil
from tests.support import name_server as dns
from tests.support import receiver as bad
from tests.support.bombs import BOMBS
from tests.support.certificates import trust
from tests.support.listening import listening
from tests.support.name_server import NameServer, name_server, says
from tests.support.receiver import Receiver, closed_port, receiver, silent_listener

INSIDE: Final = "10.0.0.1"

# Script, error, phase, status.
SPEAKING: Final = [
    (bad.silence, "headers_timeout", "headers", None),
    (bad.slow_headers, "headers_timeout", "headers", None),
    (bad.drip_body, "body_timeout", "body", 200),
    (bad.endless_body, "", "", 200),
    (bad.endless_continue, "protocol_error", "headers", None),
    (bad.many_headers, "protocol_error", "headers", None),
    (bad.huge_header, "protocol_error", "headers", None),
    (bad.nul_and_broken_text, "", "", 200),
    (bad.reset_before, "connection_reset", "headers", None),
    (bad.close_before, "connection_reset", "headers", None),
    (bad.reset_within, "connection_reset", "body", 200),
    (bad.too_short, "connection_reset", "body", 200),
    (bad.no_http, "protocol_error", "headers", None),
    (bad.bad_chunk, "protocol_error", "body", 200),
    (bad.two_lengths, "protocol_error", "headers", None),
    (evil.flood_of_interim, "protocol_error", "headers", None),
    (evil.flood_of_hints, "protocol_error", "headers", None),
    (evil.endless_header_line, "protocol_error", "headers", None),
    (evil.endless_headers, "protocol_error", "headers", None),
    (evil.endless_tiny_chunks, "", "", 200),
    (evil.huge_chunk, "", "", 200),
    (evil.negative_length, "protocol_error", "headers", None),
    (evil.endless_length, "protocol_error", "headers", None),
    (evil.length_and_chunks, "protocol_error", "headers", None),
    (evil.http_0_9, "protocol_error", "headers", None),
    (evil.http_2, "protocol_error", "headers", None),
    (evil.nul_in_header, "protocol_error", "headers", None),
    (evil.broken_text, "http_5xx", "", 503),
    (evil.status_0, "protocol_error", "", 0),
    (evil.status_999, "protocol_error", "", 999),
    (evil.redirect_inside, "http_3xx", "", 307),
    *((evil.bomb(coding), "", "", 200) for coding in BOMBS),
]
NAMED: Final = [
    ("dns_silent", dns.silent, "dns_timeout", "dns"),
    ("dns_unknown", dns.fails(dns.NXDOMAIN), "dns_failed", "dns"),
    ("dns_failing", dns.fails(dns.SERVFAIL), "dns_failed", "dns"),
    ("dns_inside", says([INSIDE]), "address_refused", "dns"),
    ("dns_mixed", says(["127.0.0.1", INSIDE]), "address_refused", "dns"),
    ("dns_alias", says([INSIDE], aliases=("inside.corp.example",)), "address_refused", "dns"),
    ("dns_many", says([f"127.0.1.{n}" for n in range(200)]), "connect_refused", "connect"),
]
HANGING: Final = {"silence", "slow_headers", "drip_body"}
"""Those that hold their attempt until its deadline, once they have the request."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile receiver, and what its attempt must say."""

    name: str
    url: str
    error: str
    phase: str
    status: int | None


@dataclass(slots=True)
class World:
    """Where they all are, and what they were sent."""

    cases: list[Case] = field(default_factory=list)
    receivers: dict[str, Receiver] = field(default_factory=dict)

    def have_their_request(self, count: int) -> bool:
        """Tell whether all that hang until the deadline have been sent to so often."""
        return all(len(self.receivers[name].requests) >= count for name in HANGING)


def hostile_names() -> AbstractAsyncContextManager[NameServer]:
    """Serve the names of them; for a loop that no flood keeps busy."""
    zone = {f"{name}.example".replace("_", "-"): script for name, script, *_ in NAMED}
    return name_server(zone=zone)


@contextlib.asynccontextmanager
async def hostile_world() -> AsyncIterator[World]:
    """Run them all."""
    world = World()
    async with contextlib.AsyncExitStack() as stack:
        for script, error, phase, status in SPEAKING:
            peer = await stack.enter_async_context(receiver(script))
            world.receivers[script.__name__] = peer
            world.cases.append(Case(script.__name__, peer.url, error, phase, status))
        for name, _, error, phase in NAMED:
            url = f"http://{name.replace('_', '-')}.example:8080/"
            world.cases.append(Case(name, url, error, phase, None))
        world.cases += await _connecting(stack)
        yield world


async def _connecting(stack: contextlib.AsyncExitStack) -> list[Case]:
    hangs = await stack.enter_async_context(silent_listener())
    wrong = await stack.enter_async_context(receiver(bad.well, tls=trust().server))
    plain = await stack.enter_async_context(listening(_greet))
    hole = stack.enter_context(black_hole())
    return [
        Case("tls_hangs", f"https://127.0.0.1:{hangs}/", "tls_timeout", "tls", None),
        Case("tls_wrong", f"https://127.0.0.1:{wrong.port}/", "tls_failed", "tls", None),
        Case("tls_none", f"https://127.0.0.1:{plain}/", "tls_failed", "tls", None),
        Case("closed", f"http://127.0.0.1:{closed_port()}/", "connect_refused", "connect", None),
        Case("black_hole", f"http://127.0.0.1:{hole}/", "connect_timeout", "connect", None),
    ]


async def _greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue the kernel has full, so that a SYN is no longer answered."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
