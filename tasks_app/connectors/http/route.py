"""Straight or by the company's proxy, and what the proxy is told.

The inside (`allowed_networks`) is always reached straight. Everything else goes by the proxy where
there is one: https as a tunnel (CONNECT, RFC 9110 §9.3.6), http in absolute form (RFC 9112 §3.2.2).
The proxy is told the address that was vetted here, so that a name which answers it differently
gains nothing; or, where it is the only one that can resolve (`resolves`), the name.
"""

import asyncio
from typing import Any, Final

import aiohttp
from yarl import URL

from tasks_app.connectors.failure import Phase
from tasks_app.connectors.http.vetting import vetted_addresses
from tasks_app.connectors.names import Names
from tasks_app.connectors.stopwatch import Stopwatch
from tasks_app.security.addresses import Address, Network, is_listed, read_literal
from tasks_app.security.ssrf import Target, vet_name_port
from tasks_app.security.way_out import OutboundProxy

_USUAL: Final = {"http": 80, "https": 443}


class ByProxy:
    """The way by one proxy."""

    def __init__(
        self,
        proxy: OutboundProxy,
        *,
        names: Names,
        networks: tuple[Network, ...],
        timeout: float,
    ) -> None:
        self._proxy, self._names, self._networks = proxy, names, networks
        self._timeout = timeout
        self._at = URL.build(scheme="http", host=proxy.host, port=proxy.port)
        literal = read_literal(proxy.host)
        # aiohttp asks for no literal's address; a named proxy's is noted when it is asked for.
        self._addresses: tuple[Address, ...] = () if literal is None else (literal,)
        self._credentials: dict[str, str] = {}
        if proxy.user is not None:
            word = aiohttp.encode_basic_auth(proxy.user, proxy.password, encoding="utf-8")
            self._credentials = {"Proxy-Authorization": word}

    async def options(self, target: Target, url: URL, watch: Stopwatch) -> dict[str, Any] | None:
        """Give what `ClientSession.request` needs beside method and body.

        None where the target is to be reached straight. Raises BlockedTarget, OSError.
        """
        told = await self._vetted(target)
        if told is not None and all(is_listed(one, self._networks) for one in told):
            return None
        watch.is_proxied, watch.vetted = True, self._addresses
        if told is None or target.address is not None:
            watch.skip_to(Phase.CONNECT)
            return self._asked(target, url, {})
        watch.enter(Phase.CONNECT)
        # An address that IPv4 reaches, if there is one: what the proxy's own network can do is
        # unknown here, and there is no second try.
        address = min(told, key=lambda one: one.version)
        options = self._asked(target, url.with_host(str(address)), {"Host": _host_header(target)})
        return options | {"server_hostname": target.host}

    def _asked(self, target: Target, url: URL, headers: dict[str, str]) -> dict[str, Any]:
        """A tunnel's request to the proxy has headers of its own; in absolute form there is one."""
        common = {"url": url, "proxy": self._at}
        if target.scheme == "https":
            return common | {"proxy_headers": self._credentials, "headers": headers}
        return common | {"headers": headers | self._credentials}

    async def _vetted(self, target: Target) -> tuple[Address, ...] | None:
        """Give every address of the target, all vetted; None where only the proxy is to know."""
        if target.address is not None:
            return (target.address,)  # vetted with its URL
        if self._proxy.resolves:
            vet_name_port(target.port)
            return None
        async with asyncio.timeout(self._timeout):
            return await vetted_addresses(
                target.host, port=target.port, names=self._names, networks=self._networks
            )


def _host_header(target: Target) -> str:
    is_usual = target.port == _USUAL[target.scheme]
    return target.host if is_usual else f"{target.host}:{target.port}"
