"""The Door: the one guarded way out. Every outward byte of this process goes through it.

1. The address that was vetted is the address connected to: the name is resolved once, every one
   of its addresses is vetted (one refused address refuses all), and the peer is checked again
   after the connection stands. Literal addresses pass the same check.
2. One deadline covers everything: DNS, connect, TLS, sending, headers and body.
3. At most 64 KiB of an answer are read, undecoded; then the connection is closed.
4. A request is sent once. Redirects are answers, lost connections are failures, no cookie and no
   credential is kept; nothing in the environment (proxies, .netrc) changes where a request goes.

Beneath is aiohttp: fast, and its cancelled requests give their connections back.
"""

import asyncio
import io
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import aiohttp
from yarl import URL

from tasks_app.connectors.failure import Phase, RawHeaders
from tasks_app.connectors.http.diagnosis import ProxyRefused, diagnose
from tasks_app.connectors.http.route import ByProxy
from tasks_app.connectors.http.vetted import TimedRequest, VettedConnector, VettingResolver
from tasks_app.connectors.names import Names, Resolve
from tasks_app.connectors.stopwatch import Stopwatch, running
from tasks_app.security.addresses import Network, read_networks
from tasks_app.security.ssrf import Target, vet_url
from tasks_app.security.way_out import OutboundProxy

ANSWER_BYTES: Final = 65_536
MAX_ANSWER_HEADERS: Final = 128
LARGE_BODY: Final = 2**19
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case; values as they came, undecodable bytes as surrogates."""
    raw_headers: RawHeaders
    body: bytes
    """Undecoded, at most `ANSWER_BYTES`."""
    is_whole: bool
    """False where the answer went on and was dropped."""
    phases: Mapping[str, float]
    duration_ms: float


@lru_cache(maxsize=1)
def shared_tls() -> ssl.SSLContext:
    """The process's one TLS context: building one takes 20 ms and several MB."""
    return ssl.create_default_context()


@lru_cache(maxsize=4_096)
def _wire_url(target: Target) -> URL:
    """Build aiohttp's URL from the vetted parts, so that no second parser sees the text."""
    path, _, query = target.path.partition("?")
    return URL.build(
        scheme=target.scheme,
        host=target.host,
        port=target.port,
        path=path,
        query_string=query,
        encoded=True,
    )


class Door:
    """One per process and event loop; make it inside the loop and `aclose()` it there.

    `allowed_networks` are the inside networks that may be sent to. `connect_timeout` (seconds)
    covers DNS, TCP and TLS. `limit` bounds requests in flight; a request waits for its slot before
    its own deadline starts. `tls` replaces the system's trust store, `name_servers` its name
    servers, `resolve` every one of them; `names_ttl` (seconds) is how long an answer is kept.
    `proxy` is the way out of what is not in an allowed network.
    """

    def __init__(
        self,
        *,
        allowed_networks: Iterable[Network | str] = (),
        connect_timeout: float = 5.0,
        limit: int = 512,
        names_ttl: float = 5.0,
        tls: ssl.SSLContext | None = None,
        name_servers: Sequence[str] = (),
        resolve: Resolve | None = None,
        proxy: OutboundProxy | None = None,
    ) -> None:
        self._networks = read_networks(allowed_networks)
        self._slots = asyncio.Semaphore(limit)
        names = Names(resolve=resolve, servers=name_servers, ttl=names_ttl)
        self._by_proxy: ByProxy | None = None
        if proxy is not None:
            self._by_proxy = ByProxy(
                proxy, names=names, networks=self._networks, timeout=connect_timeout
            )
        self._connector = VettedConnector(
            resolver=VettingResolver(names, self._networks),
            use_dns_cache=False,
            limit=0,
            ssl=tls or shared_tls(),
        )
        self._resolver_close = names.aclose
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            request_class=TimedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=ANSWER_BYTES,
            max_headers=MAX_ANSWER_HEADERS,
            timeout=aiohttp.ClientTimeout(connect=connect_timeout, ceil_threshold=3_600),
        )
        # aiohttp resends PUT, DELETE and GET on a connection that broke; whether to send again is
        # the schedule's decision, never a library's.
        self._session._retry_connection = False

    async def aclose(self) -> None:
        """Close every connection. Requests under way fail."""
        await self._session.close()
        await self._resolver_close()

    @property
    def in_flight(self) -> int:
        """How many connections are in use now."""
        return len(self._connector._acquired)

    @property
    def idle(self) -> int:
        """How many connections wait to be used again; those that have closed meanwhile do not."""
        resting = (one for each in self._connector._conns.values() for one, _ in each)
        return sum(one.is_connected() for one in resting)

    async def request(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - a deadline for the whole, kept by asyncio.timeout below
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send one request, once. `timeout` is in seconds and covers everything after the slot.

        `tls` is this destination's own trust and certificate; connections are shared only by
        requests with the same one.

        Raises DoorFailure, whatever goes wrong, and asyncio.CancelledError; nothing else.
        """
        async with self._slots:
            watch = Stopwatch()
            token = running.set(watch)
            try:
                async with asyncio.timeout(timeout):
                    response = await self._respond(watch, method, url, headers, body, tls)
                    return await _whole(response, watch)
            except Exception as exc:  # one bad row must not end a whole drain
                raise diagnose(exc, watch) from exc
            finally:
                running.reset(token)

    async def _respond(
        self,
        watch: Stopwatch,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        tls: ssl.SSLContext | None,
    ) -> aiohttp.ClientResponse:
        """Send the request and wait for the head of its answer."""
        target = vet_url(url, allowed_networks=self._networks)
        watch.is_tls = target.scheme == "https"
        options = None
        if self._by_proxy is not None:
            options = await self._by_proxy.options(target, _wire_url(target), watch)
        if options is None:
            options = _straight(target, watch)
        ours = options.pop("headers", _NONE)
        response = await self._session.request(
            method,
            headers={**headers, **ours, "Accept-Encoding": "identity"},
            data=_payload(body),
            allow_redirects=False,
            ssl=tls or True,
            **options,
        )
        if watch.is_proxied and response.status == 407:  # never a destination's: RFC 9110 §15.5.8
            response.close()
            raise ProxyRefused(407)
        return response


def _straight(target: Target, watch: Stopwatch) -> dict[str, Any]:
    if target.address is not None:
        watch.vetted = (target.address,)
        watch.skip_to(Phase.CONNECT)
    return {"url": _wire_url(target)}


async def _whole(response: aiohttp.ClientResponse, watch: Stopwatch) -> Answer:
    """Read the answer's body, up to its bound."""
    try:
        watch.enter(Phase.BODY)
        watch.status = response.status
        content, is_whole = await _read(response)
    except BaseException:
        response.close()
        raise
    if not is_whole:
        response.close()
    return Answer(
        status=response.status,
        headers=response.headers,
        raw_headers=response.raw_headers,
        body=content,
        is_whole=is_whole,
        duration_ms=watch.stop(),
        phases=watch.phases,
    )


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """Let a large body be written piece by piece, so that it does not hold up the loop."""
    return io.BytesIO(body) if len(body) > LARGE_BODY else body or None


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Read up to `ANSWER_BYTES`; tells whether that was all."""
    parts: list[bytes] = []
    size = 0
    while size <= ANSWER_BYTES:
        part = await response.content.readany()
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:ANSWER_BYTES], False
