"""The Door against real peers: good ones, slow ones, hostile ones, and names that lie."""

import asyncio
import errno
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.http import ANSWER_BYTES
from tasks_app.connectors.http import vetted as vetted_module
from tasks_app.connectors.http.vetted import VettedConnector
from tests.support import receiver as bad
from tests.support.certificates import trust
from tests.support.doors import a_door, post
from tests.support.doors import failure as failed
from tests.support.name_server import name_server
from tests.support.receiver import Exchange, closed_port, receiver, silent_listener


async def test_a_request_arrives_as_it_was_given_and_the_answer_comes_back() -> None:
    async with receiver(bad.well) as peer, a_door() as door:
        answer = await post(
            door, peer.url + "/%2e%2e/x?a=%20b", method="PUT", headers={"X-A": "b"}, body=b"abc"
        )
    [request] = peer.requests
    assert (answer.status, answer.body, answer.is_whole) == (200, b"ok", True)
    assert request.line == "PUT /hook/%2e%2e/x?a=%20b HTTP/1.1"
    assert request.body == b"abc"
    assert request.headers["x-a"] == "b"
    assert request.headers["host"] == f"127.0.0.1:{peer.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert list(answer.phases) == ["connect", "send", "headers", "body"]


async def test_a_connection_is_used_again_and_says_so_in_its_phases() -> None:
    async with receiver(bad.well) as peer, a_door() as door:
        for _ in range(5):
            answer = await post(door, peer.url)
    assert (peer.connections, len(peer.requests)) == (1, 5)
    assert list(answer.phases) == ["send", "headers", "body"]
    assert answer.duration_ms == pytest.approx(sum(answer.phases.values()), abs=0.1)


async def test_a_hundred_requests_are_in_flight_at_once() -> None:
    everyone = asyncio.Barrier(100)

    async def together(exchange: Exchange) -> None:
        await everyone.wait()
        await exchange.answer()

    async with receiver(together) as peer, a_door() as door:
        answers = await asyncio.gather(*(post(door, peer.url) for _ in range(100)))
    assert [answer.status for answer in answers] == [200] * 100


HOSTILE = [
    (bad.silence, ErrorCode.HEADERS_TIMEOUT, Phase.HEADERS, None),
    (bad.slow_headers, ErrorCode.HEADERS_TIMEOUT, Phase.HEADERS, None),
    (bad.endless_continue, ErrorCode.PROTOCOL_ERROR, Phase.HEADERS, None),
    (bad.drip_body, ErrorCode.BODY_TIMEOUT, Phase.BODY, 200),
    (bad.many_headers, ErrorCode.PROTOCOL_ERROR, Phase.HEADERS, None),
    (bad.huge_header, ErrorCode.PROTOCOL_ERROR, Phase.HEADERS, None),
    (bad.no_http, ErrorCode.PROTOCOL_ERROR, Phase.HEADERS, None),
    (bad.two_lengths, ErrorCode.PROTOCOL_ERROR, Phase.HEADERS, None),
    (bad.bad_chunk, ErrorCode.PROTOCOL_ERROR, Phase.BODY, 200),
    (bad.reset_before, ErrorCode.CONNECTION_RESET, Phase.HEADERS, None),
    (bad.close_before, ErrorCode.CONNECTION_RESET, Phase.HEADERS, None),
    (bad.reset_within, ErrorCode.CONNECTION_RESET, Phase.BODY, 200),
    (bad.too_short, ErrorCode.CONNECTION_RESET, Phase.BODY, 200),
]


@pytest.mark.parametrize(
    ("script", "code", "phase", "status"), HOSTILE, ids=[row[0].__name__ for row in HOSTILE]
)
async def test_a_bad_peer_costs_no_more_than_the_deadline_and_gives_its_slot_back(
    script: bad.Script, code: ErrorCode, phase: Phase, status: int | None
) -> None:
    async with receiver(script) as peer, receiver(bad.well) as good, a_door(limit=1) as door:
        failure = await failed(door, peer.url, timeout=1.0)
        assert (failure.code, failure.phase, failure.status_code) == (code, phase, status)
        assert failure.detail
        assert not failure.ours
        assert phase.value in failure.phases
        assert len(peer.requests) == 1
        assert (await post(door, good.url)).status == 200


async def test_a_peer_that_does_not_read_is_told_from_one_that_does_not_answer() -> None:
    async with silent_listener() as port, a_door() as door:
        failure = await failed(
            door, f"http://127.0.0.1:{port}/", body=bytes(32 * 2**20), timeout=2.0
        )
    assert (failure.code, failure.phase) == (ErrorCode.SEND_TIMEOUT, Phase.SEND)


async def test_an_endless_answer_is_read_to_its_bound_and_then_dropped() -> None:
    async with receiver(bad.endless_body) as peer, a_door() as door:
        answer = await post(door, peer.url)
        assert (answer.status, len(answer.body), answer.is_whole) == (200, ANSWER_BYTES, False)
        assert door.in_flight == 0


@pytest.mark.parametrize("size", [ANSWER_BYTES - 1, ANSWER_BYTES, ANSWER_BYTES + 1])
async def test_an_answer_is_whole_up_to_the_bound_exactly(size: int) -> None:
    async def sized(exchange: Exchange) -> None:
        await exchange.answer(body=b"y" * size)

    async with receiver(sized) as peer, a_door() as door:
        answer = await post(door, peer.url)
    assert answer.is_whole == (size <= ANSWER_BYTES)
    assert len(answer.body) == min(size, ANSWER_BYTES)


async def test_a_peer_that_takes_the_connection_over_is_not_let() -> None:
    async with receiver(bad.switch_protocols) as peer, a_door() as door:
        for _ in range(2):
            assert (await post(door, peer.url)).status == 101
    assert peer.connections == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_inside_is_an_answer_and_is_not_followed(status: int) -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.answer(status, Location=inside.url)

    async with receiver(bad.well) as inside, receiver(redirect) as peer, a_door() as door:
        assert (await post(door, peer.url)).status == status
        assert inside.connections == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
async def test_a_request_whose_connection_breaks_is_never_sent_again_by_itself(
    method: str,
) -> None:
    async def once(exchange: Exchange) -> None:
        if len(peer.requests) == 1:
            await exchange.answer()
        else:
            exchange.writer.close()

    async with receiver(once) as peer, a_door() as door:
        await post(door, peer.url, method=method)
        failure = await failed(door, peer.url, method=method)
        assert failure.code is ErrorCode.CONNECTION_RESET
        await asyncio.sleep(0.05)  # time for a second request to come, if there were one
        assert (len(peer.requests), peer.connections) == (2, 1)


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    async def answer_and_close(exchange: Exchange) -> None:
        await exchange.answer()
        exchange.writer.close()
        closed.set()

    closed = asyncio.Event()
    async with receiver(answer_and_close) as peer, a_door() as door:
        await post(door, peer.url)
        await closed.wait()
        await asyncio.sleep(0.05)
        assert (await post(door, peer.url)).status == 200
    assert peer.connections == 2


async def test_no_cookie_or_credential_of_one_answer_reaches_another_request() -> None:
    async def greedy(exchange: Exchange) -> None:
        await exchange.answer(Set_Cookie="a=b; Path=/", WWW_Authenticate="Basic")

    async with receiver(greedy) as peer, a_door() as door:
        await post(door, peer.url, headers={"Authorization": "Bearer secret"})
        await post(door, peer.url)
    assert "cookie" not in peer.requests[1].headers
    assert "authorization" not in peer.requests[1].headers


async def test_a_storm_of_cancellations_leaks_no_slot() -> None:
    async def sometimes(exchange: Exchange) -> None:
        if exchange.request.headers["x-n"] in "13579":
            await bad.silence(exchange)
        await exchange.answer()

    async with receiver(sometimes) as peer, a_door(limit=20) as door:
        tasks = [
            asyncio.create_task(post(door, peer.url, headers={"X-N": str(n % 10)}, timeout=60))
            for n in range(400)
        ]
        for n, task in enumerate(tasks):
            if n % 3 == 0:
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert door.in_flight == 0
        answers = await asyncio.gather(
            *(post(door, peer.url, headers={"X-N": "0"}) for _ in range(40))
        )
    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:8080/",
        "http://2130706434:8080/",
        "http://169.254.169.254/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.2]:8080/",
        "ftp://example.com/",
    ],
)
async def test_a_literal_inside_address_is_refused_at_the_send_too(url: str) -> None:
    async with a_door() as door:
        failure = await failed(door, url)
    assert failure.code is ErrorCode.ADDRESS_REFUSED
    assert failure.phase is Phase.DNS
    assert "127.0.0.2" not in failure.detail


async def test_a_name_that_answers_differently_the_second_time_is_not_connected_to() -> None:
    hosts = ("127.0.0.1", "127.0.0.2")

    async def last_on_this_connection(exchange: Exchange) -> None:
        await exchange.answer(Connection="close")

    async with (
        name_server(["127.0.0.1"], ["127.0.0.2"]) as names,
        receiver(last_on_this_connection, hosts=hosts) as peer,
        a_door(name_servers=[names.address], names_ttl=0.0) as door,
    ):
        url = f"http://rebinding.example:{peer.port}/"
        answer = await post(door, url)
        assert list(answer.phases) == ["dns", "connect", "send", "headers", "body"]
        failure = await failed(door, url)
        assert (failure.code, failure.phase) == (ErrorCode.ADDRESS_REFUSED, Phase.DNS)
        assert "127.0.0.2" not in failure.detail
        assert names.queries == 2
        assert [request.local for request in peer.requests] == ["127.0.0.1"]
        assert peer.connections == 1


async def test_one_refused_address_of_a_name_refuses_all() -> None:
    async with (
        name_server(["127.0.0.1", "127.0.0.2"]) as names,
        receiver(bad.well) as peer,
        a_door(name_servers=[names.address]) as door,
    ):
        failure = await failed(door, f"http://two.example:{peer.port}/")
        assert failure.code is ErrorCode.ADDRESS_REFUSED
        assert peer.connections == 0


async def test_an_inside_port_of_an_outside_name_is_refused() -> None:
    async with name_server(["8.8.8.8"]) as names, a_door(name_servers=[names.address]) as door:
        failure = await failed(door, "http://db.example:5432/")
    assert failure.code is ErrorCode.ADDRESS_REFUSED


async def test_the_second_wall_holds_where_the_first_is_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def elsewhere(*args: Any, **options: Any) -> list[dict[str, Any]]:
        return [{"host": "127.0.0.1", "port": peer.port, "hostname": "x"}]

    monkeypatch.setattr(VettedConnector, "_resolve_host", elsewhere)
    async with (
        receiver(bad.well) as peer,
        a_door(allowed_networks=["127.0.0.0/8"]) as door,
    ):
        failure = await failed(door, f"http://127.0.0.3:{peer.port}/")
        assert failure.code is ErrorCode.ADDRESS_REFUSED
        assert peer.requests == []


async def test_a_closed_port_says_so() -> None:
    async with a_door() as door:
        failure = await failed(door, f"http://127.0.0.1:{closed_port()}/")
    assert (failure.code, failure.phase) == (ErrorCode.CONNECT_REFUSED, Phase.CONNECT)


async def test_a_port_that_never_takes_the_connection_ends_with_the_connect_timeout() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the kernel's queue is full: a SYN is no longer answered
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        async with a_door(connect_timeout=1.0) as door:
            failure = await failed(door, f"http://127.0.0.1:{listening.getsockname()[1]}/")
        for filler in fillers:
            filler.close()
    assert (failure.code, failure.phase) == (ErrorCode.CONNECT_TIMEOUT, Phase.CONNECT)


async def test_a_process_out_of_file_descriptors_blames_itself() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with receiver(bad.well) as peer, a_door() as door:
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        spare = [socket.socket()]
        while spare[-1].fileno() <= highest:  # no hole is left below the limit
            spare.append(socket.socket())
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
            failure = await failed(door, peer.url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for sock in spare:
                sock.close()
    assert isinstance(failure.__cause__, OSError)
    assert failure.__cause__.errno == errno.EMFILE
    assert failure.ours
    assert failure.code is ErrorCode.FAULT


async def _loopback(host: str) -> list[str]:
    return ["127.0.0.1"]


async def test_tls_is_verified_for_the_name_and_the_name_is_sent() -> None:
    seen: list[str | None] = []
    server = trust().server
    server.sni_callback = lambda _sock, name, _context: seen.append(name)
    async with (
        receiver(bad.well, tls=server) as peer,
        a_door(tls=trust().client, resolve=_loopback) as door,
    ):
        answer = await post(door, f"https://hooks.example:{peer.port}/")
        assert answer.status == 200
        assert list(answer.phases) == ["dns", "connect", "tls", "send", "headers", "body"]
        assert seen == ["hooks.example"]
        assert peer.requests[0].headers["host"] == f"hooks.example:{peer.port}"


@pytest.mark.parametrize(
    ("url", "is_trusted", "detail"),
    [
        ("https://other.example", True, "Hostname mismatch"),
        ("https://127.0.0.1", True, "IP address mismatch"),
        ("https://hooks.example", False, "unable to get local issuer"),
    ],
)
async def test_a_certificate_that_is_not_good_ends_before_anything_is_sent(
    url: str, is_trusted: bool, detail: str
) -> None:
    options = {"tls": trust().client} if is_trusted else {}
    async with (
        receiver(bad.well, tls=trust().server) as peer,
        a_door(resolve=_loopback, **options) as door,
    ):
        failure = await failed(door, f"{url}:{peer.port}/")
        assert (failure.code, failure.phase) == (ErrorCode.TLS_FAILED, Phase.TLS)
        assert detail in failure.detail
        assert peer.requests == []


async def test_a_handshake_that_hangs_ends_with_the_connect_timeout() -> None:
    async with silent_listener() as port, a_door(connect_timeout=1.0) as door:
        failure = await failed(door, f"https://127.0.0.1:{port}/")
    assert (failure.code, failure.phase) == (ErrorCode.TLS_TIMEOUT, Phase.TLS)


async def test_a_peer_that_speaks_no_tls_is_a_tlsfailed() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, a_door() as door:
        port = server.sockets[0].getsockname()[1]
        failure = await failed(door, f"https://127.0.0.1:{port}/")
    assert (failure.code, failure.phase) == (ErrorCode.TLS_FAILED, Phase.TLS)


async def test_idle_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vetted_module, "MAX_IDLE", 32)
    async with receiver(bad.well) as peer, a_door(resolve=_loopback) as door:
        for n in range(80):
            await post(door, f"http://host{n}.example:{peer.port}/")
        assert 0 < door.idle <= 32


async def test_a_header_that_would_smuggle_is_not_sent() -> None:
    async with receiver(bad.well) as peer, a_door() as door:
        failure = await failed(door, peer.url, headers={"X": "a\r\nHost: b"})
        assert failure.ours
        assert peer.requests == []
