"""The door with a destination's credentials: every connector goes through it and knows nothing.

It adds the headers, takes the certificates, gets a token and, where that is refused with 401, gets
another and asks once more: all within one attempt and its deadline. A 401 says that nothing was
done, so asking again doubles nothing. What the answer shows of the secrets is masked before any
connector sees it.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import perf_counter
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tasks_app.connectors.auth.certificates import Certificates, Contexts
from tasks_app.connectors.auth.credentials import Credentials, OAuth2
from tasks_app.connectors.auth.tokens import Key, Tokens
from tasks_app.connectors.failure import DoorFailure, Phase
from tasks_app.connectors.headers import is_reserved
from tasks_app.connectors.http import Answer
from tasks_app.connectors.way_out import TlsWayOut
from tasks_app.security.masking import masked

UNAUTHORIZED: Final = 401
SCHEMES: Final = ("Basic", "Bearer")
LONG_ENOUGH: Final = 8
"""A shorter word of a plain header hides nothing, and masking it would spoil the excerpt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What one destination is approached with. The versions change whenever the rest does."""

    destination: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The destination's plain headers: a connector sends them, but nobody else may read them."""
    credentials: Credentials | None = None
    credentials_version: str = field(default="", repr=False)
    certificates: Certificates | None = None
    certificates_version: str = field(default="", repr=False)


class Authorizer:
    """One per process and event loop: what is worth keeping from one attempt to the next."""

    def __init__(self, door: TlsWayOut) -> None:
        self.door = door
        self.tokens = Tokens(door)
        self.contexts = Contexts()

    def door_for(self, access: Access) -> "AuthorizedDoor":
        """Return the door for attempts at this destination."""
        return AuthorizedDoor(self, access)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float
    tls: ssl.SSLContext | None
    started: float

    def waited(self) -> float:
        return perf_counter() - self.started

    def left(self) -> float:
        return max(self.timeout - self.waited(), 0.001)


class AuthorizedDoor:
    """A door that opens for one destination; `request` is as the plain door's."""

    def __init__(self, by: Authorizer, access: Access) -> None:
        self._by = by
        self._access = access

    async def request(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - the door keeps what is left of it
    ) -> Answer:
        """Send one request, authorized; `timeout` (seconds) covers the token too.

        It begins once our own certificates are ready: the time for that is no destination's fault.
        Raises DoorFailure, ssl.SSLError where kept certificates can't be used, and
        asyncio.CancelledError.
        """
        tls = await self._tls()
        request = _Request(
            method=method,
            url=url,
            headers=headers,
            body=body,
            timeout=timeout,
            tls=tls,
            started=perf_counter(),
        )
        credentials = self._access.credentials
        if isinstance(credentials, OAuth2):
            return await self._with_token(request, credentials)
        return await self._send(request, {} if credentials is None else credentials.headers)

    async def _with_token(self, request: _Request, oauth: OAuth2) -> Answer:
        tokens, key = self._by.tokens, self._key()
        known = tokens.kept(key)
        used = known or await self._token(request, oauth)
        answer = await self._send(request, _bearer(used))
        if answer.status == UNAUTHORIZED:
            tokens.drop(key, used)
            if known:  # one that was fresh and is refused all the same would not get better
                used = tokens.kept(key) or await self._token(request, oauth)
                answer = await self._send(request, _bearer(used))
        if answer.status == UNAUTHORIZED:
            tokens.drop(key, used)  # the next attempt begins with a new one
        return answer

    async def _token(self, request: _Request, oauth: OAuth2) -> str:
        same = _origin(oauth.token_url) == _origin(self._access.url)
        try:
            return await self._by.tokens.ask(
                self._key(),
                oauth,
                within=request.left(),
                at_most=request.timeout,
                tls=request.tls if same else None,
            )
        except DoorFailure as failure:
            raise _after(failure, request.waited()) from failure

    async def _send(self, request: _Request, more: Mapping[str, str]) -> Answer:
        waited = request.waited()
        try:
            answer = await self._by.door.request(
                method=request.method,
                url=request.url,
                headers=joined(request.headers, more),
                body=request.body,
                timeout=request.left(),
                tls=request.tls,
            )
        except DoorFailure as failure:
            raise (_after(failure, waited) if self._asks() else failure) from failure
        answer = replace(answer, body=masked(answer.body, self._secrets(more)))
        if not self._asks():
            return answer
        auth = _milliseconds(waited)
        phases = {Phase.AUTH.value: auth, **answer.phases}
        return replace(answer, phases=phases, duration_ms=answer.duration_ms + auth)

    def _secrets(self, more: Mapping[str, str]) -> list[str]:
        """List what an answer may not show, the token of this request among it."""
        words = (word for value in self._access.headers.values() for word in value.split())
        known = () if self._access.credentials is None else self._access.credentials.secrets
        shown = (part for value in more.values() for part in value.split() if part not in SCHEMES)
        plain = [word for word in (*words, *_of_url(self._access.url)) if len(word) >= LONG_ENOUGH]
        return [*plain, *known, *more.values(), *shown]

    def _asks(self) -> bool:
        return isinstance(self._access.credentials, OAuth2)

    def _key(self) -> Key:
        return Key(self._access.destination, self._access.credentials_version)

    async def _tls(self) -> ssl.SSLContext | None:
        given = self._access.certificates
        if given is None:
            return None
        version = self._access.certificates_version
        return await self._by.contexts.context(self._access.destination, version, given)


def joined(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return both; credentials win over a header of the same name, in any case."""
    more = {name: value for name, value in more.items() if not is_reserved(name)}
    taken = {name.lower() for name in more}
    return {name: value for name, value in own.items() if name.lower() not in taken} | more


@lru_cache(maxsize=4_096)
def _of_url(url: str) -> tuple[str, ...]:
    """List the parts of an address that may hold a token: who may not manage it sees none."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    segments = [one for one in parts.path.split("/") if len(one) >= 2 * LONG_ENOUGH]
    return (target, *segments, *(value for _, value in parse_qsl(parts.query)))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _after(failure: DoorFailure, waited: float) -> DoorFailure:
    """Return the failure with the time that passed before it."""
    auth = _milliseconds(waited)
    return DoorFailure(
        failure.code,
        failure.detail,
        phase=failure.phase,
        phases={Phase.AUTH.value: auth, **failure.phases},
        duration_ms=failure.duration_ms + auth,
        status_code=failure.status_code,
        ours=failure.ours,
        raw_headers=failure.raw_headers,
    )


@lru_cache(maxsize=4_096)
def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
