"""From sealed rows to requests that arrive authorized and signed, or do not leave at all."""

import contextlib
import ssl
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.apps import apps
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook

from tasks_app.actions.destination import change_destination, rotate_secret
from tasks_app.actions.task import create_task
from tasks_app.models import Attempt, Delivery, Destination, Workspace
from tests.support.authority import Authority
from tests.support.background import in_background
from tests.support.engine import SECRET, deliver, make_due, to
from tests.support.factories import cause
from tests.support.key_rings import keys, new_key
from tests.support.receiver import Exchange, Request, receiver
from tests.support.sink import Came, sink
from tests.support.token_server import TokenServer, token_server

pytestmark = pytest.mark.django_db(transaction=True)
AUTHORITY = Authority()
CLIENT = AUTHORITY.issue("ours")


@pytest.fixture
def requests() -> list[Request]:
    return []


@pytest.fixture
def there(requests: list[Request]) -> Iterator[str]:
    """Return the address of a destination that keeps the requests as they came."""

    async def keep(_came: Came, exchange: Exchange) -> None:
        requests.append(exchange.request)
        await exchange.answer()

    with sink(keep) as out:
        yield out.url


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with in_background(token_server()) as here:
        yield here


def make(workspace: Workspace) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=cause())


def oauth2(tokens: TokenServer, **more: str) -> dict[str, str]:
    kept = {"type": "oauth2", "token_url": tokens.url, "client_id": "us", "client_secret": "s3cret"}
    return kept | more


def test_credentials_reach_the_destination(
    workspace: Workspace, requests: list[Request], there: str, tokens: TokenServer
) -> None:
    every: list[dict[str, Any]] = [
        {"type": "basic", "username": "bob", "password": "s3cret"},
        {"type": "bearer", "token": "t0ken"},
        {"type": "headers", "headers": {"Authorization": "Custom k3y"}},
        oauth2(tokens),
    ]
    for number, auth in enumerate(every):
        to(workspace, there, name=str(number), auth=auth, headers={"X-Number": str(number)})
    make(workspace)
    deliver()
    came = {request.headers["x-number"]: request.headers["authorization"] for request in requests}
    assert came == {
        "0": "Basic Ym9iOnMzY3JldA==",
        "1": "Bearer t0ken",
        "2": "Custom k3y",
        "3": "Bearer token-1",
    }


def test_every_connector_sends_with_the_credentials_of_its_destination(
    workspace: Workspace, tokens: TokenServer
) -> None:
    came: list[Request] = []

    async def keep(exchange: Exchange) -> None:
        came.append(exchange.request)
        await exchange.answer(201, b'{"id": "7"}')

    tls = AUTHORITY.server(asks=ssl.CERT_REQUIRED)
    given = {"certificate": CLIENT.certificate, "key": CLIENT.key, "ca": AUTHORITY.ca}
    with in_background(receiver(keep, tls=tls)) as peer:
        url = f"https://127.0.0.1:{peer.port}/tasks"
        for kind in ("webhook", "rest"):
            to(workspace, url, name=kind, kind=kind, auth=oauth2(tokens), tls=given)
        make(workspace)
        deliver()
    assert [request.headers["authorization"][:-1] for request in came] == ["Bearer token-"] * 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"succeeded"}


def test_headers_that_stood_in_plain_are_sealed_when_the_schema_is_brought_up(
    workspace: Workspace, requests: list[Request], there: str
) -> None:
    one = to(workspace, there)
    plain = {"X-Tenant": "planted-acme"}
    Destination.objects.update(headers=plain)
    import_module("tasks_app.migrations.0006_auth").seal_headers(apps, None)
    one.refresh_from_db()
    assert one.headers == {"X-Tenant": "•••"}
    assert "planted" not in one.sealed_headers
    make(workspace)
    deliver()
    assert requests[0].headers["x-tenant"] == "planted-acme"


def test_a_token_that_was_refused_is_renewed_without_spending_an_attempt(
    workspace: Workspace, tokens: TokenServer
) -> None:
    stale: set[str] = set()

    async def check(_came: Came, exchange: Exchange) -> None:
        fresh = exchange.request.headers["authorization"] not in stale
        await exchange.answer(200 if fresh else 401)
        stale.add("Bearer token-1")

    with sink(check) as out:
        to(workspace, out.url, auth=oauth2(tokens), max_concurrency=1)
        for _ in range(3):
            make(workspace)
        deliver()
    delivered = Delivery.objects.order_by("sequence").values_list("state", "attempts", "failures")
    assert list(delivered) == [("succeeded", 1, 0)] * 3
    assert [came.headers["authorization"][-1] for came in out.came] == ["1", "1", "2", "2"]
    assert out.came[1].id == out.came[2].id
    assert len(tokens.asked) == 2


def test_a_token_endpoint_that_fails_spends_an_attempt_and_shows_nothing_of_its_answer(
    workspace: Workspace, requests: list[Request], there: str, tokens: TokenServer
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(401, b'{"error": "invalid_client", "hint": "planted-hint"}')

    tokens.script = refuse
    to(workspace, there, auth=oauth2(tokens))
    make(workspace)
    deliver()
    delivery, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (delivery.state, delivery.failures) == ("pending", 1)
    assert (attempt.error, attempt.failed_phase) == ("auth_failed", "auth")
    assert attempt.detail == "The token endpoint answered 401 (invalid_client)."
    assert (attempt.status_code, attempt.response_excerpt) == (None, "")
    assert attempt.phases.keys() == {"auth"}
    assert requests == []
    tokens.script = None
    make_due()
    deliver()
    assert [request.headers["authorization"] for request in requests] == ["Bearer token-2"]


SEALED: dict[str, Any] = {
    "auth": {"type": "bearer", "token": "t0ken"},
    "headers": {"X-Tenant": "acme"},
    "signature": "both",
}


def _swap_rows(one: Destination, other: Destination, column: str) -> None:
    Destination.objects.filter(pk=one.pk).update(**{column: getattr(other, column)})


def _swap_columns(one: Destination, _other: Destination, column: str) -> None:
    columns = ["sealed_secret", "sealed_signing_key", "sealed_auth", "sealed_headers"]
    wrong = columns[(columns.index(column) + 1) % len(columns)]
    Destination.objects.filter(pk=one.pk).update(**{column: getattr(one, wrong)})


def _tamper(one: Destination, _other: Destination, column: str) -> None:
    value: str = getattr(one, column)
    flipped = value[:-5] + ("A" if value[-5] != "A" else "B") + value[-4:]
    Destination.objects.filter(pk=one.pk).update(**{column: flipped})


def _write_plain(one: Destination, _other: Destination, column: str) -> None:
    Destination.objects.filter(pk=one.pk).update(**{column: SECRET})


def _empty(one: Destination, _other: Destination, column: str) -> None:
    Destination.objects.filter(pk=one.pk).update(**{column: ""})


@pytest.mark.parametrize(
    "column", ["sealed_secret", "sealed_signing_key", "sealed_auth", "sealed_headers"]
)
@pytest.mark.parametrize("harm", [_swap_rows, _swap_columns, _tamper, _write_plain, _empty])
def test_what_does_not_open_in_its_place_sends_nothing_and_spends_nothing(
    workspace: Workspace, requests: list[Request], there: str, column: str, harm: Any
) -> None:
    one, other = (to(workspace, there, name=name, **SEALED) for name in ("one", "other"))
    harm(one, other, column)
    make(workspace)
    deliver()
    assert len(requests) == 1
    delivery = Delivery.objects.get(destination=one)
    assert (delivery.state, delivery.failures, delivery.error) == ("pending", 0, "fault")
    said = Attempt.objects.get(delivery=delivery).detail
    assert (
        said == "A secret of this destination does not open with ENCRYPTION_KEYS; nothing was sent."
    )
    assert Delivery.objects.get(destination=other).state == "succeeded"


def test_with_the_wrong_keys_nothing_leaves_and_with_the_right_ones_all_of_it_does(
    workspace: Workspace, requests: list[Request], there: str, settings: Settings
) -> None:
    to(workspace, there, **SEALED)
    right = settings.ENCRYPTION_KEYS
    name = right[0].partition(":")[0]
    make(workspace)
    for wrong in (new_key("other"), new_key(name)):
        with keys(settings, wrong):
            make_due()
            deliver()
    assert requests == []
    assert Delivery.objects.get().failures == 0
    with keys(settings, new_key("newest"), *right):
        make_due()
        deliver()
    assert [request.headers["authorization"] for request in requests] == ["Bearer t0ken"]


def signatures(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"v1": [], "v1a": []}
    for one in request.headers["webhook-signature"].split(" "):
        version, _, text = one.partition(",")
        found[version].append(text)
    return found


def verifies(request: Request, public: str) -> bool:
    """Verify as the specification says, with nothing of ours."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    for text in signatures(request)["v1a"]:
        with contextlib.suppress(InvalidSignature):
            key.verify(b64decode(text), signed)
            return True
    return False


def test_each_scheme_signs_what_it_says_and_both_together_while_one_changes(
    workspace: Workspace, requests: list[Request], there: str
) -> None:
    one = to(workspace, there)
    for scheme in ("v1", "both", "v1a"):
        one = change_destination(
            workspace_id=workspace.pk,
            destination_id=one.pk,
            fields={"signature": scheme},
            cause=cause(),
        )
        make(workspace)
        deliver()
    plain, both, keyed = requests
    counts = [(len(found["v1"]), len(found["v1a"])) for found in map(signatures, requests)]
    assert counts == [(1, 0), (1, 1), (0, 1)]
    for request in (plain, both):
        Webhook(SECRET).verify(request.body, request.headers)
    for request in (both, keyed):
        assert verifies(request, one.public_key)
    assert not verifies(plain, one.public_key)


def test_old_secret_and_old_key_sign_too_until_their_day_is_over(
    workspace: Workspace, requests: list[Request], there: str
) -> None:
    one = to(workspace, there, signature="both")
    new, secret = rotate_secret(workspace_id=workspace.pk, destination_id=one.pk, cause=cause())
    make(workspace)
    deliver()
    for known in (secret, SECRET):
        Webhook(known).verify(requests[0].body, requests[0].headers)
    assert verifies(requests[0], new.public_key)
    assert verifies(requests[0], one.public_key)
    Destination.objects.update(old_secret_expires_at=timezone.now() - timedelta(seconds=1))
    make(workspace)
    deliver()
    assert [len(found) for found in signatures(requests[1]).values()] == [1, 1]
    Webhook(secret).verify(requests[1].body, requests[1].headers)
    assert verifies(requests[1], new.public_key)
    assert not verifies(requests[1], one.public_key)


def test_what_a_destination_echoes_of_its_credentials_is_in_no_attempt(
    workspace: Workspace,
) -> None:
    async def echo(exchange: Exchange) -> None:
        said = "\n".join(f"{name}: {value}" for name, value in exchange.request.headers.items())
        await exchange.answer(500, said.encode())

    with in_background(receiver(echo)) as peer:
        to(workspace, peer.url, auth={"type": "bearer", "token": "planted-t0ken"})
        make(workspace)
        deliver()
    excerpt = Attempt.objects.get().response_excerpt
    assert "planted" not in excerpt
    assert "authorization: •••" in excerpt
