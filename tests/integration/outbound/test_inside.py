"""No way inside: not by URL, not by name, not by a name that changes, not by any other caller."""

import asyncio
from collections import Counter

import pytest

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.http import Door
from tests.support import receiver as bad
from tests.support.doors import a_door, failure, post
from tests.support.inside_urls import HOSTILE
from tests.support.name_server import AAAA, A, Query, Script, name_server, says
from tests.support.receiver import receiver

INSIDE = [
    *("127.0.0.2", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0"),
    *("169.254.169.254", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1"),
    *("64:ff9b::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"),
    *("2606:4700::5efe:a00:1", "2001:db8::1", "::10.0.0.1"),
]


async def test_every_hostile_url_is_refused_when_it_is_sent_to_as_well() -> None:
    async with a_door(allowed_networks=[]) as door:
        found = await asyncio.gather(*(_code(door, url) for url, _ in HOSTILE))
    assert Counter(found) == {ErrorCode.ADDRESS_REFUSED: len(HOSTILE)}


async def _code(door: Door, url: str) -> ErrorCode:
    return (await failure(door, url)).code


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    async with (
        name_server([address]) as names,
        a_door(name_servers=[names.address], allowed_networks=["127.0.0.1/32"]) as door,
    ):
        failed = await failure(door, "http://sly.example/")
    assert (failed.code, failed.phase, failed.ours) == (
        ErrorCode.ADDRESS_REFUSED,
        Phase.DNS,
        False,
    )
    assert address not in failed.detail


@pytest.mark.parametrize("address", INSIDE)
async def test_one_inside_address_among_good_ones_refuses_all(address: str) -> None:
    async with (
        receiver(bad.well) as peer,
        name_server(["127.0.0.1", "93.184.215.14", address]) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        failed = await failure(door, f"http://mixed.example:{peer.port}/")
    assert failed.code is ErrorCode.ADDRESS_REFUSED
    assert peer.connections == 0


async def test_an_alias_to_the_inside_is_refused_however_long_the_chain() -> None:
    chain = ("a.example", "b.example", "cdn.example", "inside.corp.example")
    async with (
        receiver(bad.well) as peer,
        name_server(zone={"sly.example": says(["127.0.0.2"], aliases=chain)}) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        failed = await failure(door, f"http://sly.example:{peer.port}/")
    assert failed.code is ErrorCode.ADDRESS_REFUSED
    assert peer.connections == 0


async def test_a_name_that_answers_good_first_and_inside_ever_after_never_gets_there() -> None:
    """Rebinding: whatever the second answer is, nobody asks for it within one attempt."""
    hosts = ("127.0.0.1", "127.0.0.2")

    async def close(exchange: bad.Exchange) -> None:
        await exchange.answer(Connection="close")

    async with (
        receiver(close, hosts=hosts) as peer,
        name_server(["127.0.0.1"], ["127.0.0.2"]) as names,
        a_door(name_servers=[names.address], names_ttl=0.0) as door,
    ):
        url = f"http://rebinding.example:{peer.port}/"
        assert (await post(door, url)).status == 200
        assert names.queries == 1
        for _ in range(3):
            assert (await failure(door, url)).code is ErrorCode.ADDRESS_REFUSED
            await asyncio.sleep(0)
    assert {request.local for request in peer.requests} == {"127.0.0.1"}
    assert peer.connections == 1


async def test_a_name_that_changes_between_vetting_and_connecting_gains_nothing() -> None:
    """The server has changed its mind by the time of the connection, which is not delayed by it."""
    hosts = ("127.0.0.1", "127.0.0.2")
    now = ["127.0.0.1"]

    async def flips(query: Query) -> bytes:
        answer = query.answer(*now)
        if query.kind == A:
            now[:] = ["127.0.0.2"]
        return answer

    async with (
        receiver(bad.well, hosts=hosts) as peer,
        name_server(zone={None: flips}) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        assert (await post(door, f"http://flips.example:{peer.port}/")).status == 200
    assert now == ["127.0.0.2"]
    assert [request.local for request in peer.requests] == ["127.0.0.1"]


async def test_a_good_ipv4_answer_does_not_open_an_inside_ipv6_one() -> None:
    async def split(query: Query) -> bytes:
        return query.answer({A: "127.0.0.1", AAAA: "fd00::1"}[query.kind])

    async with (
        receiver(bad.well) as peer,
        name_server(zone={None: split}) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        failed = await failure(door, f"http://split.example:{peer.port}/")
    assert failed.code is ErrorCode.ADDRESS_REFUSED
    assert peer.connections == 0


@pytest.mark.parametrize(
    ("address", "is_open"),
    [("127.0.0.1", True), ("127.0.0.2", False), ("10.0.0.1", False), ("::1", False)],
)
async def test_an_allowed_network_opens_itself_and_nothing_beside_it(
    address: str, is_open: bool
) -> None:
    script: Script = says([address])
    async with (
        receiver(bad.well) as peer,
        name_server(zone={"onpremises.example": script}) as names,
        a_door(name_servers=[names.address], allowed_networks=["127.0.0.0/31"]) as door,
    ):
        url = f"http://onpremises.example:{peer.port}/"
        if is_open:
            assert (await post(door, url)).status == 200
        else:
            assert (await failure(door, url)).code is ErrorCode.ADDRESS_REFUSED
