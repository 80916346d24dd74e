"""OAuth 2 tokens of one process: asked for once, kept while they are good, told to nobody.

Client credentials grant, RFC 6749 §4.4. Whoever needs the same token waits for the same request;
it goes out by the guarded door like everything else. What the endpoint answers is never kept:
only its status and, where it is one of RFC 6749 §5.2, the name of its error.
"""

import asyncio
import math
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import orjson

from tasks_app.connectors.auth.credentials import OAuth2
from tasks_app.connectors.failure import DoorFailure, ErrorCode, Phase, RawHeaders
from tasks_app.connectors.http import Answer
from tasks_app.connectors.last_look import always, still_ours
from tasks_app.connectors.way_out import TlsWayOut
from tasks_app.version import VERSION

MARGIN: Final = 30.0
"""Seconds before its end at which a token is no longer used, or a tenth of a shorter life."""
UNSAID: Final = 3_600.0
"""Seconds for which a token is kept whose life the endpoint does not tell."""
LONGEST_LIFE: Final = 30 * 86_400.0
LONGEST: Final = 16_384
MOST: Final = 4_096

_ERRORS: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"}
    | {"unsupported_grant_type", "invalid_scope", "invalid_target", "server_error"}
    | {"temporarily_unavailable", "access_denied"}
)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose token: a destination, as it was configured at the time."""

    destination: str
    version: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token and when it is no longer used, on the loop's clock."""

    text: str = field(repr=False)
    ends: float


class Tokens:
    """The tokens of one event loop."""

    def __init__(self, door: TlsWayOut) -> None:
        self._door = door
        self._kept: dict[str, tuple[Key, Token]] = {}
        self._flights: dict[Key, asyncio.Task[Token]] = {}

    def kept(self, key: Key) -> str:
        """Return the token that is still good, or nothing."""
        owner, token = self._kept.get(key.destination, (None, None))
        if token is None or owner != key or token.ends <= asyncio.get_running_loop().time():
            return ""
        return token.text

    def drop(self, key: Key, token: str) -> None:
        """Forget a token that was refused, unless there is a newer one already."""
        if self.kept(key) == token:
            del self._kept[key.destination]

    async def ask(
        self,
        key: Key,
        oauth: OAuth2,
        *,
        within: float,
        at_most: float,
        tls: ssl.SSLContext | None,
    ) -> str:
        """Ask the endpoint, or wait with whoever asks already, for `within` seconds.

        The request itself has `at_most` seconds: it is for those too who have more time than the
        one that happened to begin it. Raises DoorFailure of the phase `auth`.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fetch(oauth, at_most, tls), context=_of_nobody())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        try:
            async with asyncio.timeout(within):
                # Shielded: one attempt that is cancelled leaves the others their answer.
                return (await asyncio.shield(flight)).text
        except TimeoutError:
            raise _failure("The token endpoint did not answer in time.") from None

    def _landed(self, key: Key, flight: "asyncio.Task[Token]") -> None:
        self._flights.pop(key, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[key.destination] = (key, flight.result())

    async def _fetch(self, oauth: OAuth2, within: float, tls: ssl.SSLContext | None) -> Token:
        headers, body = token_request(oauth)
        try:
            answer = await self._door.request(
                method="POST",
                url=oauth.token_url,
                headers=headers,
                body=body,
                timeout=within,
                tls=tls,
            )
        except DoorFailure as failure:
            said = failure.detail.replace("The destination", "The token endpoint")
            raise _failure(f"No token: {said}", ours=failure.ours) from None
        return _read(answer, asyncio.get_running_loop().time())


def _of_nobody() -> Context:
    """Return a context for what many wait for: that one attempt is no longer ours ends no other."""
    context = copy_context()
    context.run(still_ours.set, always)
    return context


def token_request(oauth: OAuth2) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the request for a token (RFC 6749 §4.4.2 and §2.3.1)."""
    form = {"grant_type": "client_credentials", "scope": oauth.scope, "audience": oauth.audience}
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"Aftercommit/{VERSION}",
    }
    if oauth.client_auth == "body":
        form |= {"client_id": oauth.client_id, "client_secret": oauth.client_secret}
    else:
        pair = f"{quote_plus(oauth.client_id)}:{quote_plus(oauth.client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers, urlencode({name: value for name, value in form.items() if value}).encode()


def _read(answer: Answer, now: float) -> Token:
    said = _object(answer)
    if answer.status != 200:
        error = said.get("error")
        name = f" ({error})" if isinstance(error, str) and error in _ERRORS else ""
        detail = f"The token endpoint answered {answer.status}{name}."
        raise _failure(detail, raw_headers=answer.raw_headers)
    text, kind = said.get("access_token"), said.get("token_type", "Bearer")
    if not (isinstance(text, str) and 0 < len(text) <= LONGEST and _is_plain(text)):
        raise _failure("The token endpoint's answer has no usable access_token.")
    if not (isinstance(kind, str) and kind.lower() == "bearer"):
        raise _failure("The token endpoint gave a token that is no bearer token.")
    return Token(text, now + life(said.get("expires_in")))


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def life(told: Any) -> float:
    """Return for how many seconds to use a token, by its `expires_in`; some send that as a text."""
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return UNSAID
    if not math.isfinite(seconds):
        return UNSAID
    seconds = min(max(seconds, 0.0), LONGEST_LIFE)
    return seconds - min(MARGIN, seconds / 10)


def _failure(detail: str, *, ours: bool = False, raw_headers: RawHeaders = ()) -> DoorFailure:
    code = ErrorCode.FAULT if ours else ErrorCode.AUTH_FAILED
    return DoorFailure(code, detail, phase=Phase.AUTH, ours=ours, raw_headers=raw_headers)
