"""Mutual TLS and authorities of a destination's own, by real handshakes on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from tasks_app.connectors.auth import authorized, certificates
from tasks_app.connectors.auth.authorized import Access, Authorizer
from tasks_app.connectors.auth.certificates import (
    BadCertificate,
    Certificates,
    Contexts,
    build_context,
    vet_certificates,
)
from tasks_app.connectors.auth.credentials import OAuth2
from tasks_app.connectors.http import Answer, Door, DoorFailure
from tests.support import receiver as bad
from tests.support.authority import Authority, pem
from tests.support.receiver import Exchange, receiver
from tests.support.token_server import token_server

AUTHORITY = Authority()
CLIENT = AUTHORITY.issue("worker of ours")
OTHER = Authority("Another authority")


@pytest_asyncio.fixture
async def by() -> AsyncIterator[Authorizer]:
    door = Door(allowed_networks=["127.0.0.1/32"])
    yield Authorizer(door)
    await door.aclose()


def mutual(*, ca: str = AUTHORITY.ca) -> Certificates:
    return Certificates(certificate=CLIENT.certificate, key=CLIENT.key, ca=ca)


async def ask(
    by: Authorizer, port: int, given: Certificates | None, oauth: OAuth2 | None = None
) -> Answer:
    url = f"https://127.0.0.1:{port}/hook"
    access = Access(
        destination="one",
        url=url,
        credentials=oauth,
        certificates=given,
        certificates_version=repr(given) + (given.key if given else ""),
    )
    door = by.door_for(access)
    return await door.request(method="POST", url=url, headers={}, body=b"{}", timeout=10)


class Seen:
    """A destination that notes the common name of whoever comes, or nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def __call__(self, exchange: Exchange) -> None:
        """Note, and answer."""
        shown = exchange.writer.get_extra_info("peercert") or {}
        subject = dict(pair[0] for pair in shown.get("subject", ()))
        self.names.append(subject.get("commonName", ""))
        await exchange.answer()


async def test_a_destination_that_asks_for_our_certificate_gets_it(by: Authorizer) -> None:
    seen = Seen()
    async with receiver(seen, tls=AUTHORITY.server(asks=ssl.CERT_REQUIRED)) as peer:
        assert (await ask(by, peer.port, mutual())).status == 200
    assert seen.names == ["worker of ours"]


async def test_without_our_certificate_nothing_is_taken_there(by: Authorizer) -> None:
    seen = Seen()
    async with receiver(seen, tls=AUTHORITY.server(asks=ssl.CERT_REQUIRED)) as peer:
        with pytest.raises(DoorFailure) as failed:
            await ask(by, peer.port, Certificates(ca=AUTHORITY.ca))
    assert seen.names == []
    assert not failed.value.ours


async def test_an_authority_of_its_own_is_trusted_for_this_destination_alone(
    by: Authorizer,
) -> None:
    seen = Seen()
    async with receiver(seen, tls=AUTHORITY.server(asks=ssl.CERT_NONE)) as peer:
        assert (await ask(by, peer.port, Certificates(ca=AUTHORITY.ca))).status == 200
        for given in (None, Certificates(ca=OTHER.ca)):
            with pytest.raises(DoorFailure, match="certificate is not good") as failed:
                await ask(by, peer.port, given)
            assert (failed.value.code, failed.value.phase) == ("tls_failed", "tls")
    assert seen.names == [""]


async def test_a_certificate_for_another_name_is_refused_whoever_signed_it(by: Authorizer) -> None:
    tls = AUTHORITY.server("127.0.0.2", asks=ssl.CERT_NONE)
    async with receiver(bad.well, tls=tls) as peer:
        with pytest.raises(DoorFailure, match="certificate is not good"):
            await ask(by, peer.port, Certificates(ca=AUTHORITY.ca))
    assert peer.requests == []


async def test_two_destinations_at_one_address_never_share_a_connection(by: Authorizer) -> None:
    seen = Seen()
    async with receiver(seen, tls=AUTHORITY.server(asks=ssl.CERT_OPTIONAL)) as peer:
        for given in (mutual(), Certificates(ca=AUTHORITY.ca), mutual()):
            await ask(by, peer.port, given)
    assert seen.names == ["worker of ours", "", "worker of ours"]
    assert peer.connections == 2


@pytest.mark.parametrize("together", [True, False])
async def test_our_certificate_is_shown_to_a_token_endpoint_only_where_it_is_the_destination_s(
    by: Authorizer, together: bool
) -> None:
    """A token endpoint elsewhere is checked by the system's authorities, and is shown nothing."""
    seen, tls = Seen(), AUTHORITY.server(asks=ssl.CERT_OPTIONAL)

    async def both(exchange: Exchange) -> None:
        if exchange.request.line.startswith("POST /token"):
            await exchange.answer(body=b'{"access_token": "t0ken"}')
        else:
            await seen(exchange)

    async with receiver(both, tls=tls) as peer, token_server(tls=tls) as elsewhere:
        url = f"https://127.0.0.1:{peer.port}/token" if together else elsewhere.url
        oauth = OAuth2(token_url=url, client_id="us", client_secret="s3cret")
        if together:
            assert (await ask(by, peer.port, mutual(), oauth)).status == 200
            assert seen.names == ["worker of ours"]
        else:
            with pytest.raises(DoorFailure, match="No token: The certificate is not good"):
                await ask(by, peer.port, mutual(), oauth)
            assert elsewhere.asked == []


async def test_building_a_context_takes_nothing_of_the_destination_s_time(
    by: Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of the test's own, building takes a thousand seconds and the attempt has ten."""
    clock = [0.0]

    def slow(given: Certificates) -> ssl.SSLContext:
        clock[0] += 1_000
        return build_context(given)

    monkeypatch.setattr(certificates, "build_context", slow)
    monkeypatch.setattr(authorized, "perf_counter", lambda: clock[0])
    async with receiver(bad.well, tls=AUTHORITY.server(asks=ssl.CERT_REQUIRED)) as peer:
        assert (await ask(by, peer.port, mutual())).status == 200
    assert clock == [1_000.0]


async def test_a_context_is_built_once_for_each_version() -> None:
    contexts = Contexts()
    given = mutual()
    first, second = await asyncio.gather(
        contexts.context("one", "v1", given), contexts.context("one", "v1", given)
    )
    assert first is second
    assert await contexts.context("one", "v2", given) is not first
    assert await contexts.context("two", "v1", given) is not first


async def test_what_can_t_be_built_is_not_kept() -> None:
    contexts = Contexts()
    for _ in range(2):
        with pytest.raises(ValueError, match="PEM"):
            await contexts.context("one", "v1", Certificates(certificate="x", key="y"))


def chain_of(authority: Authority) -> str:
    return CLIENT.certificate + authority.ca


EXPIRED = AUTHORITY.issue("late", ends=-timedelta(hours=1))
EARLY = AUTHORITY.issue("early", begins=0.5)
STRANGER = AUTHORITY.issue("stranger")


@pytest.mark.parametrize(
    ("given", "name", "code"),
    [
        (Certificates(certificate=CLIENT.certificate), "key", "incomplete"),
        (Certificates(key=CLIENT.key), "certificate", "incomplete"),
        (Certificates(certificate="hello", key=CLIENT.key), "certificate", "not_pem"),
        (Certificates(certificate=CLIENT.key, key=CLIENT.key), "certificate", "not_pem"),
        (Certificates(certificate=CLIENT.certificate, key="hello"), "key", "not_pem"),
        (
            Certificates(certificate=CLIENT.certificate, key=CLIENT.certificate),
            "key",
            "not_pem",
        ),
        (
            Certificates(certificate=CLIENT.certificate, key=STRANGER.key),
            "key",
            "key_does_not_match",
        ),
        (
            Certificates(
                certificate=CLIENT.certificate,
                key=pem(ec.generate_private_key(ec.SECP256R1()), password="p4ss"),
            ),
            "key",
            "key_protected",
        ),
        (
            Certificates(certificate=EXPIRED.certificate, key=EXPIRED.key),
            "certificate",
            "certificate_expired",
        ),
        (
            Certificates(certificate=EARLY.certificate, key=EARLY.key),
            "certificate",
            "certificate_not_yet_valid",
        ),
        (Certificates(ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END"), "ca", "not_pem"),
        (Certificates(ca=EXPIRED.certificate), "ca", "certificate_expired"),
    ],
    ids=lambda value: value if isinstance(value, str) else "given",
)
def test_what_could_never_work_is_refused_and_named(
    given: Certificates, name: str, code: str
) -> None:
    with pytest.raises(BadCertificate) as refused:
        vet_certificates(given, now=datetime.now(UTC))
    assert (refused.value.name, refused.value.code) == (name, code)


@pytest.mark.parametrize(
    "given",
    [
        mutual(),
        mutual(ca=""),
        Certificates(ca=AUTHORITY.ca + OTHER.ca),
        Certificates(certificate=chain_of(AUTHORITY), key=CLIENT.key),
    ],
    ids=["mutual", "system authorities", "two authorities", "chain"],
)
def test_what_works_is_taken_and_its_key_stays_out_of_sight(given: Certificates) -> None:
    vet_certificates(given, now=datetime.now(UTC))
    assert "PRIVATE KEY" not in repr(given)
