"""A real token endpoint on loopback: hands out token-1, token-2 …, or answers as told."""

import asyncio
import contextlib
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.support.receiver import Exchange, Request, receiver


@dataclass(slots=True)
class Asked:
    """One request for a token, as RFC 6749 reads it."""

    form: dict[str, str]
    basic: tuple[str, str] | None
    request: Request


@dataclass(slots=True)
class TokenServer:
    """What was asked; `say` replaces members of the answer, `script` the whole of it."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    say: dict[str, Any] = field(default_factory=dict)
    script: Any = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, exchange: Exchange) -> None:
        """Remember, wait for the gate, answer."""
        self.asked.append(_read(exchange.request))
        number = len(self.asked)
        await self.gate.wait()
        if self.script is not None:
            await self.script(exchange)
            return
        said = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600}
        said |= self.say
        await exchange.answer(body=json.dumps(said).encode(), Content_Type="application/json")


@contextlib.asynccontextmanager
async def token_server(**options: Any) -> AsyncIterator[TokenServer]:
    """Listen; the gate is open until somebody clears it."""
    here = TokenServer()
    here.gate.set()
    scheme = "https" if options.get("tls") else "http"
    async with receiver(here.serve, **options) as listening:
        here.url = f"{scheme}://127.0.0.1:{listening.port}/token"
        yield here


def _read(request: Request) -> Asked:
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    kind, _, pair = request.headers.get("authorization", "").partition(" ")
    if kind != "Basic":
        return Asked(form, None, request)
    name, _, secret = b64decode(pair).decode().partition(":")
    return Asked(form, (unquote_plus(name), unquote_plus(secret)), request)
