"""Behind a company's proxy: everything outside goes by it, and nothing inside is opened by it."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.http import Door
from tasks_app.security.way_out import OutboundProxy, read_proxy
from tests.support import forward_proxy as proxies
from tests.support import receiver as bad
from tests.support.certificates import trust
from tests.support.doors import a_door, failure, post
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.name_server import name_server, says
from tests.support.receiver import Receiver, closed_port, receiver

OUTSIDE = "93.184.215.14"  # never reached: the proxy of the test leads everything to loopback
ALLOWED = "Basic " + base64.b64encode("us er:p@ß".encode()).decode()


def at(port: int, *, user: str = "", resolves: bool = False) -> OutboundProxy:
    proxy = read_proxy(f"http://{user}127.0.0.1:{port}", resolves=resolves)
    assert proxy is not None
    return proxy


@asynccontextmanager
async def a_world(
    *, tls: bool = False, answers: tuple[str, ...] = (OUTSIDE,), user: str = "", **options: Any
) -> AsyncIterator[tuple[Receiver, ForwardProxy, Door]]:
    resolves = options.pop("resolves", False)
    door_options = {"tls": trust().client, **options.pop("door", {})}
    async with (
        receiver(bad.well, tls=trust().server if tls else None) as peer,
        forward_proxy(peer.port, **options) as proxy,
        name_server(list(answers)) as names,
        a_door(
            proxy=at(proxy.port, user=user, resolves=resolves),
            name_servers=[names.address],
            **door_options,
        ) as door,
    ):
        yield peer, proxy, door


async def test_https_goes_through_a_tunnel_to_the_address_that_was_vetted() -> None:
    async with a_world(tls=True) as (peer, proxy, door):
        answers = [await post(door, "https://hooks.example/a?b=c") for _ in range(3)]
    assert proxy.asked == [("CONNECT", f"{OUTSIDE}:443")]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [one.line for one in peer.requests] == ["POST /a?b=c HTTP/1.1"] * 3
    assert {one.headers["host"] for one in peer.requests} == {"hooks.example"}
    assert list(answers[0].phases) == ["dns", "connect", "tls", "send", "headers", "body"]
    assert peer.connections == 1


async def test_http_goes_in_absolute_form_to_the_address_that_was_vetted() -> None:
    async with a_world() as (peer, proxy, door):
        for _ in range(2):
            assert (await post(door, "http://hooks.example:8080/a?b=c")).status == 200
    assert proxy.asked == [("POST", f"http://{OUTSIDE}:8080/a?b=c")] * 2
    assert {one.headers["host"] for one in proxy.seen} == {"hooks.example:8080"}
    assert {one.headers["host"] for one in peer.requests} == {"hooks.example:8080"}
    assert {one.body for one in peer.requests} == {b"{}"}


@pytest.mark.parametrize("tls", [False, True])
async def test_the_proxy_s_password_reaches_the_proxy_alone(tls: bool) -> None:
    user = "us%20er:p%40%C3%9F@"
    async with a_world(tls=tls, user=user, authorization=ALLOWED) as (peer, proxy, door):
        scheme = "https" if tls else "http"
        for _ in range(2):
            answer = await post(door, f"{scheme}://hooks.example/")
            assert answer.status == 200
    assert {one.headers.get("proxy-authorization") for one in proxy.seen} == {ALLOWED}
    for one in peer.requests:
        assert not [name for name in one.headers if name.startswith("proxy-")]
        assert "authorization" not in one.headers


async def test_two_names_at_one_address_share_no_tunnel() -> None:
    async with a_world(tls=True) as (peer, proxy, door):
        assert (await post(door, "https://hooks.example/")).status == 200
        refused = await failure(door, "https://other.example/")
    assert (refused.code, refused.phase, refused.ours) == (ErrorCode.TLS_FAILED, Phase.TLS, False)
    assert len(proxy.asked) == 2
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "answers",
    [("10.0.0.1",), (OUTSIDE, "10.0.0.1"), ("169.254.169.254",), ("::ffff:10.0.0.1",), ("::1",)],
    ids=str,
)
async def test_a_name_that_leads_inside_is_refused_before_the_proxy_hears_of_it(
    answers: tuple[str, ...],
) -> None:
    async with a_world(answers=answers) as (_, proxy, door):
        refused = await failure(door, "http://sly.example/")
    assert (refused.code, refused.phase) == (ErrorCode.ADDRESS_REFUSED, Phase.DNS)
    assert proxy.asked == []


@pytest.mark.parametrize("resolves", [False, True])
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://169.254.169.254/",
        "http://2130706434/",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "https://intern.example:5432/",
        "ftp://example.com/",
    ],
)
async def test_an_inside_literal_or_port_is_refused_whoever_resolves(
    url: str, resolves: bool
) -> None:
    async with a_world(resolves=resolves) as (_, proxy, door):
        refused = await failure(door, url)
    assert refused.code is ErrorCode.ADDRESS_REFUSED
    assert proxy.asked == []


async def test_localhost_is_never_asked_of_the_proxy() -> None:
    door_options: dict[str, Any] = {"allowed_networks": []}
    async with a_world(resolves=True, door=door_options) as (_, proxy, door):
        refused = await failure(door, "http://localhost/")
    assert refused.code is ErrorCode.ADDRESS_REFUSED
    assert proxy.asked == []


async def test_a_proxy_that_resolves_is_told_the_name() -> None:
    async with a_world(tls=True, resolves=True, answers=("10.0.0.1",)) as (_, proxy, door):
        answer = await post(door, "https://hooks.example:8443/")
    assert proxy.asked == [("CONNECT", "hooks.example:8443")]
    assert list(answer.phases) == ["connect", "tls", "send", "headers", "body"]


@pytest.mark.parametrize("name", ["127.0.0.1", "inside.example", "localhost"])
async def test_the_inside_that_is_allowed_is_reached_straight(name: str) -> None:
    async with a_world(answers=("127.0.0.1",)) as (peer, proxy, door):
        answer = await post(door, f"http://{name}:{peer.port}/")
    assert answer.status == 200
    assert proxy.asked == []
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("reply", "schemes"),
    [
        (proxies.says(407), ("http", "https")),
        (proxies.says(403), ("https",)),
        (proxies.says(400), ("https",)),
        (proxies.says(302), ("https",)),
        (proxies.closes, ("https",)),
        (proxies.babbles, ("https",)),
    ],
    ids=["407", "403", "400", "302", "closes", "babbles"],
)
async def test_a_proxy_that_fails_is_our_fault(
    reply: proxies.Reply, schemes: tuple[str, ...]
) -> None:
    for scheme in schemes:
        async with a_world(tls=scheme == "https", reply=reply) as (peer, _, door):
            failed = await failure(door, f"{scheme}://hooks.example/")
        assert (failed.code, failed.ours) == (ErrorCode.PROXY_FAILED, True)
        assert failed.phase is Phase.CONNECT
        assert "proxy" in failed.detail
        assert peer.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_away_is_our_fault(scheme: str) -> None:
    async with (
        name_server([OUTSIDE]) as names,
        a_door(proxy=at(closed_port(), user="u:secret@"), name_servers=[names.address]) as door,
    ):
        failed = await failure(door, f"{scheme}://hooks.example/")
    assert (failed.code, failed.phase, failed.ours) == (
        ErrorCode.PROXY_FAILED,
        Phase.CONNECT,
        True,
    )


async def test_a_proxy_whose_name_is_unknown_is_our_fault() -> None:
    proxy = read_proxy("http://proxy.example:3128")
    zone = {"hooks.example": says([OUTSIDE])}
    async with (
        name_server(zone=zone) as names,
        a_door(proxy=proxy, name_servers=[names.address]) as door,
    ):
        failed = await failure(door, "http://hooks.example/")
    assert (failed.code, failed.phase) == (ErrorCode.PROXY_FAILED, Phase.CONNECT)


async def test_the_proxy_s_own_inside_address_is_the_operator_s_to_choose() -> None:
    async with receiver(bad.well) as peer, forward_proxy(peer.port) as proxy:
        by_name = read_proxy(f"http://proxy.example:{proxy.port}")
        zone = {"hooks.example": says([OUTSIDE]), "proxy.example": says(["127.0.0.1"])}
        async with (
            name_server(zone=zone) as names,
            a_door(proxy=by_name, name_servers=[names.address], allowed_networks=[]) as door,
        ):
            assert (await post(door, "http://hooks.example/")).status == 200
            refused = await failure(door, f"http://proxy.example:{proxy.port}/")
    assert refused.code is ErrorCode.ADDRESS_REFUSED
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_destination_that_the_proxy_cannot_reach_is_its_own_failure(status: int) -> None:
    async with a_world(tls=True, reply=proxies.says(status)) as (_, _, door):
        failed = await failure(door, "https://hooks.example/")
    assert (failed.code, failed.phase, failed.ours) == (
        ErrorCode.CONNECT_FAILED,
        Phase.CONNECT,
        False,
    )


async def test_a_tunnel_that_is_not_opened_in_time_ends_with_the_connect_timeout() -> None:
    door_options = {"connect_timeout": 1.0}
    async with a_world(tls=True, reply=proxies.hangs, door=door_options) as (_, _, door):
        failed = await failure(door, "https://hooks.example/")
    assert (failed.code, failed.phase, failed.ours) == (
        ErrorCode.CONNECT_TIMEOUT,
        Phase.CONNECT,
        False,
    )
