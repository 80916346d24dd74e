"""Names to addresses: getaddrinfo off the loop, bounded, asked once for all who wait.

`getaddrinfo` has no timeout and can't be cancelled, and asyncio's default executor has few threads,
so a few names whose servers are silent would starve every other lookup. Here each lookup has a
daemon thread of its own (a hanging one does not keep the process from ending), at most
`max_threads` at once, callers of the same name share one, and an answer is kept for a few seconds.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from tasks_app.security.addresses import Address

Resolve = Callable[[str], Sequence[str]]
"""Blocking: gives the addresses of a name. Raises OSError."""

_KEPT_NAMES: Final = 1_024


def resolve_with_system(host: str) -> list[str]:
    """Ask the system's resolver for every address of a name, of both families."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Names:
    """Lookups of one event loop. The deadline is the caller's (`asyncio.timeout`)."""

    def __init__(
        self, *, resolve: Resolve = resolve_with_system, ttl: float = 5.0, max_threads: int = 32
    ) -> None:
        self._resolve = resolve
        self._ttl = ttl
        self._slots = asyncio.Semaphore(max_threads)
        self._flights: dict[str, asyncio.Task[tuple[Address, ...]]] = {}
        self._kept: dict[str, tuple[float, tuple[Address, ...]]] = {}

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Give every address of a name. Raises OSError where there is none.

        A caller that is cancelled leaves the lookup to the others who wait for it.
        """
        kept = self._kept.get(host)
        if kept is not None and kept[0] > asyncio.get_running_loop().time():
            return kept[1]
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = asyncio.create_task(self._look_up(host))
            flight.add_done_callback(lambda done: self._landed(host, done))
        return await asyncio.shield(flight)

    async def aclose(self) -> None:
        """Drop the lookups under way; their threads end by themselves."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _look_up(self, host: str) -> tuple[Address, ...]:
        async with self._slots:
            found = await _in_thread(self._resolve, host)
        return tuple(ip_address(text) for text in found)

    def _landed(self, host: str, flight: asyncio.Task[tuple[Address, ...]]) -> None:
        self._flights.pop(host, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        if len(self._kept) >= _KEPT_NAMES:
            self._kept.clear()
        self._kept[host] = (flight.get_loop().time() + self._ttl, flight.result())


async def _in_thread(resolve: Resolve, host: str) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(found: Sequence[str], error: Exception | None) -> None:
        if future.done():
            return
        if error is None and found:
            future.set_result(found)
        else:
            future.set_exception(error or OSError("the name has no address"))

    def run() -> None:
        found: Sequence[str] = ()
        error: Exception | None = None
        try:
            found = resolve(host)
        except (OSError, ValueError) as exc:  # ValueError: what IDNA or an address parser refuses
            error = exc if isinstance(exc, OSError) else OSError("the name can't be resolved")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=run, name=f"names {host}", daemon=True).start()
    return await future
