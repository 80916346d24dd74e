"""Names to addresses: asked once for all who wait, and kept for some seconds, good or bad.

No look-up waits for another: one that hangs costs a few KB until it ends (name_servers.py), so
that names whose servers are silent starve nobody. Callers of one name share its look-up; one who
is cancelled, or whose time is over, leaves it to the others and to the next attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

from tasks_app.connectors.name_servers import NameServers
from tasks_app.security.addresses import Address

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the addresses of a name. Raises OSError, of which TimeoutError is one."""
Found = tuple[Address, ...] | OSError

_KEPT_NAMES: Final = 1_024


class Names:
    """Look-ups of one event loop. The deadline is the caller's (`asyncio.timeout`).

    `ttl` and `bad_ttl` are how long an answer and a failure are kept, in seconds. `servers`
    replace the system's name servers, `resolve` all of them.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        servers: Sequence[str] = (),
        ttl: float = 5.0,
        bad_ttl: float = 1.0,
    ) -> None:
        self._servers = NameServers(servers=servers)
        self._resolve = resolve or self._servers.resolve
        self._ttl, self._bad_ttl = ttl, bad_ttl
        self._flights: dict[str, asyncio.Task[Found]] = {}
        self._kept: dict[str, tuple[float, Found]] = {}

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Give every address of a name. Raises OSError where there is none."""
        found = self._known(host)
        if found is None:
            flight = self._flights.get(host)
            if flight is None:
                flight = self._flights[host] = asyncio.create_task(self._look_up(host))
                flight.add_done_callback(lambda done: self._landed(host, done))
            found = await asyncio.shield(flight)
        if isinstance(found, OSError):
            raise type(found)(*found.args)  # one of one's own: each adds to its traceback
        return found

    async def aclose(self) -> None:
        """Drop the look-ups under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._servers.aclose()

    def _known(self, host: str) -> Found | None:
        until, found = self._kept.get(host, (0.0, None))
        return found if until > asyncio.get_running_loop().time() else None

    async def _look_up(self, host: str) -> Found:
        try:
            addresses = tuple(ip_address(text) for text in await self._resolve(host))
        except OSError as error:
            return error
        except ValueError:  # what IDNA or an address parser refuses
            return OSError("the name can't be resolved")
        return addresses or OSError("the name has no address")

    def _landed(self, host: str, flight: asyncio.Task[Found]) -> None:
        self._flights.pop(host, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        if len(self._kept) >= _KEPT_NAMES:
            self._kept.clear()
        found = flight.result()
        ttl = self._bad_ttl if isinstance(found, OSError) else self._ttl
        self._kept[host] = (flight.get_loop().time() + ttl, found)
