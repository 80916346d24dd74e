"""httpx over the Door: its clients work, and can't reach what the Door does not."""

import httpx
import pytest

from tasks_app.connectors.http import Door, GuardedTransport
from tasks_app.security.way_out import read_proxy
from tests.support import receiver as bad
from tests.support.receiver import Exchange, closed_port, receiver


async def _echo(exchange: Exchange) -> None:
    await exchange.answer(201, exchange.request.body, Content_Type="application/json", X_A="b")


async def test_an_httpx_client_works_over_the_door() -> None:
    door = Door(allowed_networks=["127.0.0.1/32"])
    async with (
        receiver(_echo) as peer,
        httpx.AsyncClient(transport=GuardedTransport(door)) as client,
    ):
        answer = await client.post(peer.url, json={"a": "ü"}, auth=("user", "pass"))
        again = await client.get(peer.url, params={"q": "x y"})
    await door.aclose()
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (201, {"a": "ü"}, "b")
    assert again.status_code == 201
    assert peer.requests[0].headers["authorization"].startswith("Basic ")
    assert peer.requests[0].headers["content-type"] == "application/json"
    assert peer.requests[0].headers["accept-encoding"] == "identity"
    assert peer.requests[1].line == "GET /hook?q=x+y HTTP/1.1"
    assert peer.connections == 1


async def test_following_redirects_leads_to_the_same_door() -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.answer(302, Location="http://127.0.0.2/")

    door = Door(allowed_networks=["127.0.0.1/32"])
    async with (
        receiver(redirect) as peer,
        httpx.AsyncClient(transport=GuardedTransport(door), follow_redirects=True) as client,
    ):
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get(peer.url)
    await door.aclose()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (bad.silence, httpx.ReadTimeout),
        (bad.drip_body, httpx.ReadTimeout),
        (bad.close_before, httpx.ReadError),
        (bad.no_http, httpx.RemoteProtocolError),
        (bad.endless_body, httpx.ReadError),
        (bad.gzip_bomb, httpx.TransportError),
    ],
)
async def test_what_goes_wrong_is_an_error_of_httpx(
    script: bad.Script, error: type[Exception]
) -> None:
    door = Door(allowed_networks=["127.0.0.1/32"])
    transport = GuardedTransport(door, deadline=1.0)
    async with receiver(script) as peer, httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(error):
            await client.get(peer.url)
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{closed_port()}/")
    await door.aclose()


async def test_a_proxy_that_is_away_is_an_error_of_httpx_too() -> None:
    proxy = read_proxy(f"http://127.0.0.1:{closed_port()}", resolves=True)
    door = Door(proxy=proxy)
    async with httpx.AsyncClient(transport=GuardedTransport(door)) as client:
        with pytest.raises(httpx.ProxyError):
            await client.get("https://hooks.example/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("https://10.0.0.1/")
    await door.aclose()
