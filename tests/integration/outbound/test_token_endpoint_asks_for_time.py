"""A token endpoint that asks for time gets it: its Retry-After holds the destination."""

import asyncio
from typing import Any

import pytest

from tasks_app.connectors.auth.authorized import Access, AuthorizedDoor, Authorizer
from tasks_app.connectors.auth.credentials import read_credentials
from tasks_app.connectors.base import Envelope, ErrorCode, Outcome, Verdict
from tasks_app.connectors.http import Door
from tasks_app.connectors.registry import connector_for
from tasks_app.security.signing import new_secret
from tests.support import receiver as bad
from tests.support.receiver import Exchange, receiver
from tests.support.token_server import token_server

WAITING = 3
pytestmark = pytest.mark.asyncio


def says(status: int, **headers: Any) -> bad.Script:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, b"{}", **headers)

    return answer


async def attempt(door: AuthorizedDoor, url: str) -> Outcome:
    envelope = Envelope(
        message_id="msg_1",
        attempt=1,
        sequence=1,
        method="POST",
        url=url,
        headers={},
        secrets=(new_secret(),),
        body=b"{}",
        timeout=5.0,
    )
    return await connector_for("webhook").send(envelope, door=door)


async def attempts(script: bad.Script) -> list[Outcome]:
    """Return what several attempts come to that wait for one answer of the token endpoint."""
    door = Door(allowed_networks=["127.0.0.1/32"])
    async with token_server() as tokens, receiver(bad.well) as peer:
        tokens.script = script
        auth = {"type": "oauth2", "token_url": tokens.url, "client_id": "a", "client_secret": "b"}
        access = Access(destination="one", url=peer.url, credentials=read_credentials(auth))
        own = Authorizer(door).door_for(access)
        outcomes = await asyncio.gather(*(attempt(own, peer.url) for _ in range(WAITING)))
        assert (len(tokens.asked), len(peer.requests)) == (1, 0)
    await door.aclose()
    return outcomes


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_all_that_waited_for_a_token_are_told_how_long(status: int) -> None:
    for outcome in await attempts(says(status, Retry_After="120")):
        assert (outcome.verdict, outcome.error) == (Verdict.FAILED, ErrorCode.AUTH_FAILED)
        assert (outcome.failed_phase, outcome.retry_after) == ("auth", 120)


@pytest.mark.parametrize("said", [{}, {"Retry_After": "soon"}])
async def test_one_that_refuses_without_a_word_holds_nothing(said: dict[str, str]) -> None:
    for outcome in await attempts(says(429, **said)):
        assert (outcome.verdict, outcome.retry_after) == (Verdict.FAILED, None)
