"""A destination's credentials over real sockets: headers, tokens and their refresh."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tasks_app.connectors.auth.authorized import Access, AuthorizedDoor, Authorizer, joined
from tasks_app.connectors.auth.credentials import OAuth2, basic, outline, read_credentials
from tasks_app.connectors.auth.tokens import UNSAID, Key, Token, life
from tasks_app.connectors.http import Answer, Door, DoorFailure
from tests.support import receiver as bad
from tests.support.receiver import Exchange, Receiver, closed_port, receiver
from tests.support.token_server import TokenServer, token_server

SECRET = "cl1ent/s3cret+with:signs"
pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def by() -> AsyncIterator[Authorizer]:
    door = Door(allowed_networks=["127.0.0.1/32"])
    yield Authorizer(door)
    await door.aclose()


@pytest_asyncio.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    async with token_server() as here:
        yield here


def oauth2(token_url: str, **more: str) -> dict[str, str]:
    return {
        "type": "oauth2",
        "token_url": token_url,
        "client_id": "us er",
        "client_secret": SECRET,
        "scope": "hooks write",
        "audience": "https://api.example.org",
        "client_auth": "header",
        **more,
    }


def access(peer: Receiver, auth: Mapping[str, Any], *, headers: Any = None) -> Access:
    return Access(
        destination="one",
        url=peer.url,
        headers=headers or {},
        credentials=read_credentials(auth),
        credentials_version=str(hash(str(auth))),
    )


async def ask(door: AuthorizedDoor, url: str, *, timeout: float = 10, **headers: str) -> Answer:
    named = {"webhook-id": "msg_1", **headers}
    return await door.request(method="POST", url=url, headers=named, body=b"{}", timeout=timeout)


def bearers(peer: Receiver) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in peer.requests]


def only(*good: str) -> bad.Script:
    """Return a destination that takes these tokens and refuses others with 401."""

    async def check(exchange: Exchange) -> None:
        token = exchange.request.headers["authorization"].removeprefix("Bearer ")
        await exchange.answer(200 if token in good else 401)

    return check


@pytest.mark.parametrize(
    ("auth", "arrives"),
    [
        (
            {"type": "basic", "username": "Aladdin", "password": "open sesame"},
            {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},  # RFC 7617 §2
        ),
        (
            {"type": "basic", "username": "test", "password": "123£"},
            {"authorization": "Basic dGVzdDoxMjPCow=="},  # RFC 7617 §2.1
        ),
        (
            {"type": "bearer", "token": "mF_9.B5f-4.1JqM"},
            {"authorization": "Bearer mF_9.B5f-4.1JqM"},
        ),
        (
            {"type": "headers", "headers": {"X-Api-Key": "k3y", "X-Other": "o"}},
            {"x-api-key": "k3y", "x-other": "o"},
        ),
    ],
)
async def test_what_a_destination_asks_for_arrives(
    by: Authorizer, auth: dict[str, Any], arrives: dict[str, str]
) -> None:
    async with receiver(bad.well) as peer:
        await ask(by.door_for(access(peer, auth)), peer.url)
    assert peer.requests[0].headers.items() >= arrives.items()


async def test_credentials_win_over_a_plain_header_in_any_case_but_never_over_ours() -> None:
    own = {"AUTHORIZATION": "old", "X-Tenant": "acme", "webhook-id": "msg_1"}
    more = {"authorization": "new", "Webhook-Id": "forged", "Host": "inside"}
    assert joined(own, more) == {
        "X-Tenant": "acme",
        "webhook-id": "msg_1",
        "authorization": "new",
    }


async def test_a_token_is_asked_for_once_however_many_wait_and_kept(
    by: Authorizer, tokens: TokenServer
) -> None:
    tokens.gate.clear()
    async with receiver(bad.well) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        waiting = [asyncio.create_task(ask(door, peer.url)) for _ in range(20)]
        while not tokens.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # gives a second request the time to be made, were there one
        tokens.gate.set()
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
        await ask(door, peer.url)
    assert len(tokens.asked) == 1
    assert set(bearers(peer)) == {"token-1"}


async def test_the_request_for_a_token_is_that_of_the_rfc(
    by: Authorizer, tokens: TokenServer
) -> None:
    """RFC 6749 §4.4.2; the client shows itself in a header or in the form (§2.3.1)."""
    form = {
        "grant_type": "client_credentials",
        "scope": "hooks write",
        "audience": "https://api.example.org",
    }
    async with receiver(bad.well) as peer:
        await ask(by.door_for(access(peer, oauth2(tokens.url))), peer.url)
        await ask(by.door_for(access(peer, oauth2(tokens.url, client_auth="body"))), peer.url)
        await ask(by.door_for(access(peer, oauth2(tokens.url, scope="", audience=""))), peer.url)
    first, second, third = tokens.asked
    assert (first.form, first.basic) == (form, ("us er", SECRET))
    assert second.form == form | {"client_id": "us er", "client_secret": SECRET}
    assert second.basic is None
    assert third.form == {"grant_type": "client_credentials"}
    assert first.request.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (3600, 3570.0),
        (10, 9.0),
        ("60", 54.0),
        (0, 0.0),
        (-5, 0.0),
        (None, UNSAID),
        ("soon", UNSAID),
        (float("nan"), UNSAID),
        (10**12, 30 * 86_400.0 - 30),
    ],
)
async def test_a_token_is_used_until_shortly_before_its_end(told: Any, seconds: float) -> None:
    assert life(told) == seconds


async def test_a_token_whose_time_is_over_is_not_used_again(
    by: Authorizer, tokens: TokenServer
) -> None:
    tokens.say = {"expires_in": 0}
    async with receiver(bad.well) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        await ask(door, peer.url)
        await ask(door, peer.url)
    assert bearers(peer) == ["token-1", "token-2"]


async def test_changed_credentials_get_a_token_of_their_own(
    by: Authorizer, tokens: TokenServer
) -> None:
    async with receiver(bad.well) as peer:
        await ask(by.door_for(access(peer, oauth2(tokens.url))), peer.url)
        await ask(by.door_for(access(peer, oauth2(tokens.url, client_id="other"))), peer.url)
    assert bearers(peer) == ["token-1", "token-2"]


async def test_a_stale_token_is_replaced_within_the_same_attempt(
    by: Authorizer, tokens: TokenServer
) -> None:
    good = ["token-1"]

    async def check(exchange: Exchange) -> None:
        await only(*good)(exchange)

    async with receiver(check) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        await ask(door, peer.url)
        good[:] = ["token-2"]
        answer = await ask(door, peer.url, timeout=10, **{"webhook-attempt": "7"})
    assert answer.status == 200
    assert bearers(peer) == ["token-1", "token-1", "token-2"]
    refused, repeated = peer.requests[1:]
    assert {refused.headers["webhook-attempt"], repeated.headers["webhook-attempt"]} == {"7"}
    assert refused.body == repeated.body
    assert answer.phases["auth"] > 0


async def test_a_fresh_token_that_is_refused_is_a_failure_and_not_a_loop(
    by: Authorizer, tokens: TokenServer
) -> None:
    async with receiver(only("none")) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        assert (await ask(door, peer.url)).status == 401
        assert bearers(peer) == ["token-1"]
        assert (await ask(door, peer.url)).status == 401
    assert bearers(peer) == ["token-1", "token-2"]


async def test_a_token_that_is_refused_though_new_is_not_tried_again(
    by: Authorizer, tokens: TokenServer
) -> None:
    good = ["token-1"]

    async def check(exchange: Exchange) -> None:
        await only(*good)(exchange)

    async with receiver(check) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        await ask(door, peer.url)
        good.clear()
        assert [(await ask(door, peer.url)).status for _ in range(2)] == [401, 401]
    assert bearers(peer) == ["token-1", "token-1", "token-2", "token-3"]


async def test_a_stale_token_that_many_were_refused_with_is_replaced_once(
    by: Authorizer, tokens: TokenServer
) -> None:
    good, refused = ["token-1"], asyncio.Event()

    async def check(exchange: Exchange) -> None:
        if good == ["token-2"] and len(peer.requests) >= 11:
            refused.set()  # all ten came with the stale one before any is told
        if good == ["token-2"]:
            await refused.wait()
        await only(*good)(exchange)

    async with receiver(check) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        await ask(door, peer.url)
        good[:] = ["token-2"]
        answers = await asyncio.gather(*(ask(door, peer.url) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len(tokens.asked) == 2


async def test_an_attempt_that_is_cancelled_leaves_the_others_their_token(
    by: Authorizer, tokens: TokenServer
) -> None:
    tokens.gate.clear()
    async with receiver(bad.well) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        first = asyncio.create_task(ask(door, peer.url))
        while not tokens.asked:
            await asyncio.sleep(0)
        second = asyncio.create_task(ask(door, peer.url))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        tokens.gate.set()
        assert (await second).status == 200
    assert len(tokens.asked) == 1


async def test_who_has_little_time_left_takes_none_from_the_others(
    by: Authorizer, tokens: TokenServer
) -> None:
    """The one that begins gives up at once; the other has ten seconds and gets the same token."""
    tokens.gate.clear()
    auth = oauth2(tokens.url)
    credentials = read_credentials(auth)
    assert isinstance(credentials, OAuth2)
    async with receiver(bad.well) as peer:
        held = access(peer, auth)
        key = Key(held.destination, held.credentials_version)
        with pytest.raises(DoorFailure, match="in time"):
            await by.tokens.ask(key, credentials, within=0.01, at_most=10, tls=None)
        other = asyncio.create_task(ask(by.door_for(held), peer.url))
        await asyncio.sleep(0)
        tokens.gate.set()
        assert (await other).status == 200
    assert len(tokens.asked) == 1


def says(status: int, body: bytes) -> bad.Script:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, body)

    return answer


PLANTED = "planted-in-the-answer"
TOLD = orjson.dumps({"error": "invalid_client", "error_description": PLANTED})


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (says(400, TOLD), "The token endpoint answered 400 (invalid_client)."),
        (says(401, b'{"error": "%s"}' % PLANTED.encode()), "The token endpoint answered 401."),
        (says(500, PLANTED.encode()), "The token endpoint answered 500."),
        (says(302, b""), "The token endpoint answered 302."),
        (says(200, PLANTED.encode()), "no usable access_token"),
        (says(200, b"[]"), "no usable access_token"),
        (says(200, b'{"access_token": ""}'), "no usable access_token"),
        (says(200, b'{"access_token": "a\\r\\nX: y"}'), "no usable access_token"),
        (says(200, b'{"access_token": 5}'), "no usable access_token"),
        (says(200, b'{"access_token": "a", "token_type": "mac"}'), "no bearer token"),
        (bad.silence, "did not answer in time"),
        (bad.reset_before, "No token: The token endpoint closed the connection."),
        (bad.no_http, "No token: "),
    ],
)
async def test_a_failing_token_endpoint_is_the_destination_s_failure(
    by: Authorizer, tokens: TokenServer, script: bad.Script, detail: str
) -> None:
    tokens.script = script
    async with receiver(bad.well) as peer:
        door = by.door_for(access(peer, oauth2(tokens.url)))
        with pytest.raises(DoorFailure) as failed:
            await ask(door, peer.url, timeout=0.5 if script is bad.silence else 10)
        assert peer.requests == []
    failure = failed.value
    assert (failure.code, failure.phase, failure.ours) == ("auth_failed", "auth", False)
    assert detail in failure.detail
    assert PLANTED not in failure.detail
    assert failure.duration_ms >= failure.phases["auth"] > 0


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://10.0.0.1/token", "not allowed"),
        ("http://169.254.169.254/token", "not allowed"),
        (f"http://127.0.0.1:{closed_port()}/token", "refused the connection"),
    ],
    ids=["inside", "metadata", "closed"],
)
async def test_a_token_is_got_by_the_guarded_door(by: Authorizer, url: str, detail: str) -> None:
    async with receiver(bad.well) as peer:
        with pytest.raises(DoorFailure, match=detail) as failed:
            await ask(by.door_for(access(peer, oauth2(url))), peer.url)
    assert failed.value.code == "auth_failed"


class Clocked:
    """A door that notes how much time each request was given, and how much has passed before."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._began = perf_counter()
        self.given: list[float] = []
        self.passed: list[float] = []

    async def request(self, *, timeout: float, **how: Any) -> Answer:
        """Note, and send."""
        self.given.append(timeout)
        self.passed.append(perf_counter() - self._began)
        return await self._door.request(timeout=timeout, **how)


async def test_one_deadline_covers_the_token_and_the_request(
    by: Authorizer, tokens: TokenServer
) -> None:
    assert isinstance(by.door, Door)
    clocked = Clocked(by.door)
    async with receiver(bad.well) as peer:
        answer = await ask(Authorizer(clocked).door_for(access(peer, oauth2(tokens.url))), peer.url)
    for_token, for_request = clocked.given
    assert for_token == 10
    assert 10 - clocked.passed[1] <= for_request < 10
    assert answer.duration_ms > answer.phases["auth"] > 0


async def test_a_silent_destination_tells_its_own_phase_and_the_time_for_the_token(
    by: Authorizer, tokens: TokenServer
) -> None:
    async with receiver(bad.silence) as peer:
        with pytest.raises(DoorFailure) as failed:
            await ask(by.door_for(access(peer, oauth2(tokens.url))), peer.url, timeout=1)
    assert (failed.value.code, failed.value.phase) == ("headers_timeout", "headers")
    assert failed.value.phases["auth"] > 0


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "basic", "username": "u", "password": 'pass"wörd/<1>'},
        {"type": "bearer", "token": "b3arer/token+x="},
        {"type": "headers", "headers": {"X-Api-Key": "word s3cret&word"}},
    ],
)
async def test_what_an_answer_echoes_of_credentials_is_masked_however_it_is_written(
    by: Authorizer, auth: dict[str, Any]
) -> None:
    credentials = read_credentials(auth)
    secrets = [secret for secret in credentials.secrets if len(secret) > 3]
    written = [
        form
        for secret in (*secrets, *getattr(credentials, "headers", {}).values())
        for form in (secret, orjson.dumps(secret).decode(), *_quoted(secret))
    ]

    async def echo(exchange: Exchange) -> None:
        await exchange.answer(body="\n".join(written).encode())

    async with receiver(echo) as peer:
        answer = await ask(by.door_for(access(peer, auth)), peer.url)
    text = answer.body.decode()
    assert "•••" in text
    for secret in secrets:
        assert secret not in text
        assert all(form not in text for form in _quoted(secret))


def _quoted(secret: str) -> list[str]:
    from_url = {"/": "%2F", "+": "%2B", "=": "%3D", '"': "%22", "<": "%3C", ">": "%3E", "&": "%26"}
    quoted = "".join(from_url.get(sign, sign) for sign in secret.replace(" ", "+"))
    return [quoted.encode("ascii", "ignore").decode()] if secret.isascii() else []


async def test_the_token_and_the_client_s_secret_are_masked_too(
    by: Authorizer, tokens: TokenServer
) -> None:
    async def echo(exchange: Exchange) -> None:
        shown = exchange.request.headers["authorization"]
        await exchange.answer(body=f"{shown} {SECRET} is no Bearer".encode())

    tokens.say = {"access_token": "issued-t0ken"}
    async with receiver(echo) as peer:
        answer = await ask(by.door_for(access(peer, oauth2(tokens.url))), peer.url)
    assert answer.body.decode() == "••• ••• is no Bearer"


async def test_a_destination_s_own_headers_are_masked_and_short_words_are_not(
    by: Authorizer,
) -> None:
    async def echo(exchange: Exchange) -> None:
        await exchange.answer(body=b"tenant acme key l0ng-enough-t0-hide")

    async with receiver(echo) as peer:
        plain = Access(
            destination="x", url=peer.url, headers={"A": "acme", "B": "l0ng-enough-t0-hide"}
        )
        answer = await ask(by.door_for(plain), peer.url)
    assert answer.body.decode() == "tenant acme key •••"


async def test_nothing_that_holds_a_secret_shows_it() -> None:
    for auth in (
        oauth2("https://id.example.org/token"),
        {"type": "basic", "username": "u", "password": SECRET},
        {"type": "bearer", "token": SECRET},
        {"type": "headers", "headers": {"X": SECRET}},
    ):
        held = Access(
            destination="x",
            url="https://x/",
            headers={"X": SECRET},
            credentials=read_credentials(auth),
            credentials_version=SECRET,
        )
        assert SECRET not in repr(held)
        assert SECRET not in str(outline(auth))
        key = Key("x", SECRET)
        assert SECRET not in repr((key, Token(SECRET, 1.0)))
    assert "cGFzcw" not in repr(basic(username="", password="pass"))
    with pytest.raises(ValueError, match="no such type"):
        read_credentials({"type": "kerberos"})
