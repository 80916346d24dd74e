"""Names: asked of real name servers; one that hangs, fails or lies is nobody else's trouble."""

import asyncio
from pathlib import Path

import pytest

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.names import Names
from tests.support import name_server as dns
from tests.support import receiver as bad
from tests.support.doors import a_door, failure, post
from tests.support.name_server import name_server, says
from tests.support.receiver import closed_port, receiver

HERE = says(["127.0.0.1"])


async def test_however_many_names_hang_a_healthy_one_is_found() -> None:
    zone = {"good.example": HERE, None: dns.silent}
    async with (
        receiver(bad.well) as peer,
        name_server(zone=zone) as names,
        a_door(name_servers=[names.address], connect_timeout=60.0, limit=1_000) as door,
    ):
        stuck = [
            asyncio.create_task(post(door, f"http://hang{n}.example:{peer.port}/", timeout=60))
            for n in range(100)
        ]
        while len({name for name, _ in names.asked}) < 100:
            await asyncio.sleep(0.005)
        answer = await post(door, f"http://good.example:{peer.port}/", timeout=60)
        assert not any(task.done() for task in stuck)
        assert answer.status == 200
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (dns.fails(dns.NXDOMAIN), ErrorCode.DNS_FAILED),
        (dns.fails(dns.SERVFAIL), ErrorCode.DNS_FAILED),
        (dns.fails(dns.REFUSED), ErrorCode.DNS_FAILED),
        (says([]), ErrorCode.DNS_FAILED),
        (dns.silent, ErrorCode.DNS_TIMEOUT),
        (dns.cut, ErrorCode.DNS_TIMEOUT),
    ],
    ids=["NXDOMAIN", "SERVFAIL", "REFUSED", "no address", "silent", "cut"],
)
async def test_a_name_that_cannot_be_found_says_how(script: dns.Script, code: ErrorCode) -> None:
    patience = 1.0 if code is ErrorCode.DNS_TIMEOUT else 60.0
    async with (
        name_server(zone={None: script}) as names,
        a_door(name_servers=[names.address], connect_timeout=patience) as door,
    ):
        failed = await failure(door, "http://some.example/", timeout=60.0)
    assert (failed.code, failed.phase, failed.ours) == (code, Phase.DNS, False)
    assert list(failed.phases) == ["dns"]


async def test_nonsense_from_a_name_server_is_no_answer() -> None:
    async with (
        name_server(zone={None: dns.garbage}) as names,
        a_door(name_servers=[names.address], connect_timeout=1.0) as door,
    ):
        failed = await failure(door, "http://some.example/")
    assert failed.code in {ErrorCode.DNS_FAILED, ErrorCode.DNS_TIMEOUT}
    assert failed.phase is Phase.DNS


MANY = [f"127.0.0.{n}" for n in range(1, 201)]


async def test_an_answer_too_large_for_udp_is_fetched_over_tcp() -> None:
    zone = {"many.example": says(MANY), "other.example": says([*MANY, "10.0.0.1"])}
    async with (
        receiver(bad.well) as peer,
        name_server(zone=zone) as names,
        a_door(name_servers=[names.address], allowed_networks=["127.0.0.0/8"]) as door,
    ):
        assert (await post(door, f"http://many.example:{peer.port}/")).status == 200
        failed = await failure(door, f"http://other.example:{peer.port}/")
    assert failed.code is ErrorCode.ADDRESS_REFUSED
    assert peer.connections == 1


@pytest.mark.allow_hosts(MANY)
async def test_two_hundred_addresses_are_not_two_hundred_connections() -> None:
    async with (
        receiver(bad.well) as peer,
        name_server(MANY[::-1]) as names,
        a_door(name_servers=[names.address], allowed_networks=["127.0.0.0/8"]) as door,
    ):
        failed = await failure(door, f"http://many.example:{peer.port}/")
    assert failed.code is ErrorCode.CONNECT_REFUSED
    assert peer.connections == 0


@pytest.mark.allow_hosts(MANY)
async def test_the_next_address_is_tried_where_the_first_refuses() -> None:
    async with (
        receiver(bad.well) as peer,
        name_server(["127.0.0.9", "127.0.0.1"]) as names,
        a_door(name_servers=[names.address], allowed_networks=["127.0.0.0/8"]) as door,
    ):
        assert (await post(door, f"http://two.example:{peer.port}/")).status == 200


async def test_an_answer_that_comes_late_is_taken_all_the_same() -> None:
    """The servers were quick before, so that c-ares has asked again meanwhile."""
    zone = {"late.example": dns.late(1.2, "127.0.0.1"), None: HERE}
    async with (
        receiver(bad.well) as peer,
        name_server(zone=zone) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        for n in range(5):
            await post(door, f"http://quick{n}.example:{peer.port}/")
        assert (await post(door, f"http://late.example:{peer.port}/")).status == 200
        assert names.asked["late.example", dns.A] > 1


async def test_name_servers_that_are_away_are_our_fault() -> None:
    async with a_door(name_servers=[f"127.0.0.1:{closed_port()}"]) as door:
        failed = await failure(door, "http://some.example/")
    assert (failed.code, failed.phase, failed.ours) == (ErrorCode.FAULT, Phase.DNS, True)
    assert "name servers" in failed.detail


async def test_the_hosts_file_comes_before_the_name_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 fileserver fileserver.corp.example\n")
    monkeypatch.setenv("CARES_HOSTS", str(hosts))
    async with (
        receiver(bad.well) as peer,
        name_server(["10.0.0.1"]) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        for name in ("fileserver", "fileserver.corp.example"):
            assert (await post(door, f"http://{name}:{peer.port}/")).status == 200
    assert not names.asked


async def test_a_short_name_is_looked_for_in_the_search_domains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "corp.example")  # `search` of resolv.conf(5)
    async with (
        receiver(bad.well) as peer,
        name_server(zone={"hooks.corp.example": HERE}) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        assert (await post(door, f"http://hooks:{peer.port}/")).status == 200
    assert peer.requests[0].headers["host"] == f"hooks:{peer.port}"


async def test_localhost_is_this_machine_whatever_a_name_server_says() -> None:
    async with (
        receiver(bad.well) as peer,
        name_server(["127.0.0.2"]) as names,
        a_door(name_servers=[names.address]) as door,
    ):
        for name in ("localhost", "app.localhost"):
            assert (await post(door, f"http://{name}:{peer.port}/")).status == 200
    assert not names.asked


async def test_all_who_ask_at_once_share_one_question() -> None:
    async with name_server(zone={None: dns.late(0.05, "127.0.0.1")}) as server:
        names = Names(servers=[server.address])
        found = await asyncio.gather(*(names.addresses("one.example") for _ in range(50)))
        assert server.queries == 1
        assert len(set(found)) == 1
        await names.aclose()


async def test_who_gives_up_leaves_the_answer_to_the_others() -> None:
    async with name_server(zone={None: dns.late(0.2, "127.0.0.1")}) as server:
        names = Names(servers=[server.address])
        first, second = (asyncio.create_task(names.addresses("one.example")) for _ in range(2))
        while not server.queries:
            await asyncio.sleep(0.005)
        first.cancel()
        assert [str(one) for one in await second] == ["127.0.0.1"]
        assert server.queries == 1
        await names.aclose()


@pytest.mark.parametrize("is_kept", [True, False])
async def test_an_answer_good_or_bad_is_kept_as_long_as_said(is_kept: bool) -> None:
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        if host == "bad.example":
            raise TimeoutError
        return ["127.0.0.1"]

    seconds = 60.0 if is_kept else 0.0
    names = Names(resolve=resolve, ttl=seconds, bad_ttl=seconds)
    for _ in range(3):
        await names.addresses("good.example")
        with pytest.raises(TimeoutError):
            await names.addresses("bad.example")
    assert len(asked) == (2 if is_kept else 6)
    await names.aclose()


async def test_what_is_asked_when_all_is_closed_ends() -> None:
    async with name_server(zone={None: dns.silent}) as server:
        names = Names(servers=[server.address])
        asking = asyncio.create_task(names.addresses("one.example"))
        while not server.asked:
            await asyncio.sleep(0.005)
        await names.aclose()
        with pytest.raises(asyncio.CancelledError):
            await asking
