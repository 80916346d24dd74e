"""aiohttp's three seams that the Door uses: which addresses, which connection, when it was sent.

Private names of aiohttp that are relied on: `TCPConnector._factory`, `._release`, `._conns`,
`._start_tls_connection`, `ClientRequest._body`; in handler.py `ResponseHandler._payload`; in
door.py `ClientSession._retry_connection`, `TCPConnector._acquired`. tests/integration/outbound
fails where one of them changes.
"""

import select
import socket
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from tasks_app.connectors.failure import Phase
from tasks_app.connectors.http.handler import Handler
from tasks_app.connectors.http.vetting import vetted_addresses
from tasks_app.connectors.last_look import NoLongerOurs, look_again
from tasks_app.connectors.names import Names
from tasks_app.connectors.stopwatch import Stopwatch, running
from tasks_app.security.addresses import Address, Network
from tasks_app.security.ssrf import BlockedTarget

MAX_IDLE: Final = 256
"""Connections kept for reuse; file descriptors run out long before memory does."""

TRIED: Final = 2
"""Addresses of a name that a connection is tried to, for each family; all of them are vetted.
aiohttp begins anew with all that are left whenever one of them fails: 200 would be 20,000 tries."""


class VettingResolver(AbstractResolver):
    """The resolver hook: what is not vetted here is not connected to."""

    def __init__(self, names: Names, networks: tuple[Network, ...]) -> None:
        self._names = names
        self._networks = networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        watch = running.get()
        if watch.is_proxied:  # it is the proxy that is asked for, the operator's own
            addresses = await self._names.addresses(host)
        else:
            addresses = await vetted_addresses(
                host, port=port, names=self._names, networks=self._networks
            )
        addresses = watch.vetted = _tried(addresses)
        watch.enter(Phase.CONNECT)
        return [
            ResolveResult(
                hostname=host, host=str(address), port=port, family=family, proto=0, flags=0
            )
            for address in addresses
        ]

    async def close(self) -> None:
        await self._names.aclose()


def _tried(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    families = ([one for one in addresses if one.version == version] for version in (4, 6))
    kept = {one for family in families for one in family[:TRIED]}
    return tuple(one for one in addresses if one in kept)


class VettedConnector(aiohttp.TCPConnector):
    """Tells the stopwatch what happens, checks the peer and bounds what lies idle."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

        def opened() -> ResponseHandler:
            # Called when TCP stands and before TLS begins; TCP to the proxy, where there is one.
            watch = running.get()
            watch.is_fresh = True
            if watch.is_tls and not watch.is_proxied:
                watch.enter(Phase.TLS)
            return Handler(self._loop)

        self._factory = opened  # type: ignore[assignment]

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        watch = running.get()
        connection = await super().connect(req, traces, timeout)
        while not watch.is_fresh and not _is_quiet(connection):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, Handler):
            connection.protocol.ask()
        if watch.is_fresh:
            self._check_peer(connection, watch)
        elif not watch.is_proxied:
            watch.skip_to(Phase.SEND)
        watch.enter(Phase.SEND)
        return connection

    async def _start_tls_connection(self, *args: Any, **options: Any) -> Any:
        running.get().enter(Phase.TLS)  # the proxy has opened the tunnel
        return await super()._start_tls_connection(*args, **options)

    def _check_peer(self, connection: Connection, watch: Stopwatch) -> None:
        """The second wall: the socket must lead to an address that was vetted for this request."""
        transport = connection.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        if peer is None:
            connection.close()
            raise aiohttp.ServerDisconnectedError("closed as soon as it was open")
        if ip_address(peer[0]) not in watch.vetted:
            connection.close()
            raise BlockedTarget("address_not_allowed", "The connection leads elsewhere.")

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        if len(self._conns) > MAX_IDLE // 16:
            should_close = should_close or sum(map(len, self._conns.values())) >= MAX_IDLE
        if isinstance(protocol, Handler):
            protocol.rest()
        super()._release(key, protocol, should_close=should_close)


def _is_quiet(connection: Connection) -> bool:
    """Tell whether a connection from the pool has nothing to say.

    What has come and was not read yet is its end, or an answer that nobody asked for.
    """
    transport = connection.transport
    if transport is None:
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


class TimedRequest(ClientRequest):
    """Looks again right before it sends, and tells the stopwatch when the body has left.

    A peer that does not read is seen by that. A body is written by a task of its own, which may
    get its turn much later: nothing has left before, so it looks once more.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        look_again()
        response = await super().send(conn)
        if self._body is None:
            running.get().enter(Phase.HEADERS)
        return response

    async def write_bytes(self, writer: Any, conn: Connection, content_length: Any = None) -> None:
        try:
            look_again()
        except NoLongerOurs as error:
            if conn.protocol is not None:
                conn.protocol.set_exception(error)  # for who waits for the answer, and closes
            return
        await super().write_bytes(writer, conn, content_length)
        running.get().enter(Phase.HEADERS)
