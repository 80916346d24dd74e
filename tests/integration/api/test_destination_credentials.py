"""auth, tls, headers and signature of a destination over HTTP: taken once, never shown again."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings

from tasks_app.delivery.approach import access_of, signing_with
from tasks_app.models import Destination, Role, Workspace
from tasks_app.models.sealed import PLACES, open_json
from tests.support.authority import Authority
from tests.support.callers import Caller, caller
from tests.support.key_rings import keys, new_key

pytestmark = pytest.mark.django_db
MASK = "•••"
S3CRET = "s3cret-of-the-test"
AUTHORITY = Authority()
CLIENT = AUTHORITY.issue("ours")
EXPIRED = AUTHORITY.issue("late", ends=-timedelta(hours=1))
TOKEN_URL = "http://127.0.0.1:9/token"
BASIC = {"type": "basic", "username": "bob", "password": S3CRET}
BEARER = {"type": "bearer", "token": S3CRET}
HEADERS = {"type": "headers", "headers": {"X-Api-Key": S3CRET, "X-B": S3CRET}}
OAUTH2 = {
    "type": "oauth2",
    "token_url": TOKEN_URL,
    "client_id": "us",
    "client_secret": S3CRET,
    "scope": "a b",
    "audience": "",
    "client_auth": "body",
}
MTLS = {"certificate": CLIENT.certificate, "key": CLIENT.key, "ca": AUTHORITY.ca}
EVERY = [BASIC, BEARER, HEADERS, OAUTH2]


def make(api: Caller, **fields: Any) -> Any:
    answer = api.post(
        "destinations/", {"name": "Good", "url": "http://127.0.0.1:9/hook?x=1", **fields}
    )
    assert answer.status == 201, answer.raw
    return answer.body


def at(body: Any) -> str:
    return f"destinations/{body['id']}/"


def row(body: Any) -> Destination:
    return Destination.objects.get(pk=body["id"])


def shown(auth: dict[str, Any]) -> dict[str, Any]:
    secret = {"password", "token", "client_secret"}
    masked = {name: MASK if name in secret else value for name, value in auth.items()}
    return masked | ({"headers": dict.fromkeys(auth["headers"], MASK)} if "headers" in auth else {})


@pytest.mark.parametrize("auth", EVERY, ids=lambda auth: auth["type"])
def test_credentials_are_kept_sealed_and_shown_as_an_outline(
    api: Caller, workspace: Workspace, auth: dict[str, Any]
) -> None:
    body = make(api, auth=auth)
    assert body["auth"] == shown(auth)
    destination = row(body)
    assert (
        S3CRET
        not in orjson.dumps(
            [str(getattr(destination, f.attname)) for f in Destination._meta.concrete_fields]
        ).decode()
    )
    assert open_json(destination, "auth") == auth
    for path in ("destinations/", at(body), "events/"):
        assert S3CRET.encode() not in api.get(path).raw
    viewer = caller(workspace, role=Role.VIEWER).get(at(body)).body["auth"]
    assert viewer.keys() == auth.keys()
    assert viewer.pop("type") == auth["type"]
    told = [*viewer.pop("headers", {}).values(), *viewer.values()]
    assert set(told) == {MASK}


@pytest.mark.parametrize("auth", EVERY, ids=lambda auth: auth["type"])
def test_a_destination_that_is_sent_back_as_it_was_read_keeps_its_secrets(
    api: Caller, auth: dict[str, Any]
) -> None:
    body = make(api, auth=auth, tls=MTLS, headers={"X-Tenant": "acme"}, signature="both")
    body.pop("secret")
    before = row(body)
    answer = api.patch(at(body), {**body, "name": "Other"})
    assert answer.status == 200, answer.raw
    after = row(body)
    for column in PLACES:
        assert getattr(after, column) == getattr(before, column)
    last = api.get("events/").body["results"][-1]
    assert (last["type"], last["changed"]) == ("destination_changed", ["name"])


def test_one_part_changes_and_the_others_stay(api: Caller) -> None:
    body = make(api, auth=OAUTH2)
    assert api.patch(at(body), {"auth": {**body["auth"], "scope": "c"}}).status == 200
    assert open_json(row(body), "auth") == {**OAUTH2, "scope": "c"}
    last = api.get("events/").body["results"][-1]
    assert last["changed"] == ["auth"]
    body = api.patch(at(body), {"auth": HEADERS}).body
    changed = {"type": "headers", "headers": {"X-Api-Key": MASK, "X-New": "n3w"}}
    assert api.patch(at(body), {"auth": changed}).body["auth"]["headers"].keys() == {
        "X-Api-Key",
        "X-New",
    }
    assert open_json(row(body), "auth")["headers"] == {"X-Api-Key": S3CRET, "X-New": "n3w"}
    assert api.patch(at(body), {"auth": None}).body["auth"] is None
    assert row(body).sealed_auth == ""


def test_plain_headers_are_sealed_and_shown_to_who_manages_them(
    api: Caller, workspace: Workspace
) -> None:
    body = make(api, headers={"X-Tenant": S3CRET, "X-B": "b"})
    assert body["headers"] == {"X-Tenant": S3CRET, "X-B": "b"}
    assert row(body).headers == {"X-Tenant": MASK, "X-B": MASK}
    viewer = caller(workspace, role=Role.VIEWER)
    assert viewer.get(at(body)).body["headers"] == {"X-Tenant": MASK, "X-B": MASK}
    changed = api.patch(at(body), {"headers": {"X-Tenant": MASK, "X-B": "c"}}).body
    assert changed["headers"] == {"X-Tenant": S3CRET, "X-B": "c"}


def test_a_key_is_never_shown_and_a_certificate_is_to_who_manages_it(
    api: Caller, workspace: Workspace
) -> None:
    body = make(api, tls=MTLS)
    assert body["tls"] == {**MTLS, "key": MASK}
    viewer = caller(workspace, role=Role.VIEWER)
    assert viewer.get(at(body)).body["tls"] == dict.fromkeys(MTLS, MASK)
    assert b"PRIVATE KEY" not in api.get("destinations/").raw + api.get("events/").raw
    renewed = api.patch(at(body), {"tls": {**body["tls"], "ca": None}})
    assert renewed.body["tls"]["ca"] is None
    assert open_json(row(body), "tls")["key"] == CLIENT.key
    stranger = AUTHORITY.issue("stranger")
    other = {"certificate": stranger.certificate, "key": MASK}
    refused = api.patch(at(body), {"tls": other})
    assert refused.pointers == [("/tls/key", "key_does_not_match")]
    assert api.patch(at(body), {"tls": {}}).body["tls"] is None


def test_a_secret_is_kept_for_the_address_that_it_was_given_for(api: Caller) -> None:
    """Or whoever may change an address could have another's secret sent to their own server."""
    body = make(api, auth=BEARER)
    moved = {"url": "http://127.0.0.1:10/hook"}
    assert api.patch(at(body), {"url": "http://127.0.0.1:9/elsewhere"}).status == 200
    needed = [("/auth/token", "secret_needed")]
    assert api.patch(at(body), moved).pointers == needed
    assert api.patch(at(body), {**moved, "auth": body["auth"]}).pointers == needed
    assert row(body).url == "http://127.0.0.1:9/elsewhere"
    assert api.patch(at(body), {**moved, "auth": BEARER}).status == 200
    assert api.patch(at(body), {"url": "http://127.0.0.1:11/", "auth": None}).status == 200
    body = api.patch(at(body), {"auth": OAUTH2}).body
    other = {**body["auth"], "token_url": "http://127.0.0.1:12/token"}
    needed = [("/auth/client_secret", "secret_needed")]
    assert api.patch(at(body), {"auth": other}).pointers == needed
    given = {**other, "client_secret": S3CRET}
    assert api.patch(at(body), {"auth": given}).status == 200


WRONG: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"auth": "x"}, [("/auth", "not_an_object")]),
    ({"auth": []}, [("/auth", "not_an_object")]),
    ({"auth": {}}, [("/auth/type", "invalid_choice")]),
    ({"auth": {"type": "kerberos"}}, [("/auth/type", "invalid_choice")]),
    ({"auth": {"type": ["basic"]}}, [("/auth/type", "invalid_choice")]),
    ({"auth": {"type": "basic"}}, [("/auth/username", "required"), ("/auth/password", "required")]),
    ({"auth": {**BASIC, "token": "x"}}, [("/auth/token", "unknown_field")]),
    ({"auth": {**BASIC, "username": "a:b"}}, [("/auth/username", "character_refused")]),
    ({"auth": {**BASIC, "password": "a\nb"}}, [("/auth/password", "invalid")]),
    ({"auth": {**BASIC, "password": MASK}}, [("/auth/password", "nothing_to_keep")]),
    ({"auth": {**BEARER, "token": ""}}, [("/auth/token", "blank")]),
    ({"auth": {**BEARER, "token": "a b"}}, [("/auth/token", "invalid")]),
    ({"auth": {**BEARER, "token": "ü"}}, [("/auth/token", "invalid")]),
    ({"auth": {**BEARER, "token": 5}}, [("/auth/token", "invalid")]),
    ({"auth": {**BEARER, "token": "x" * 4097}}, [("/auth/token", "max_length")]),
    ({"auth": {"type": "headers", "headers": {}}}, [("/auth/headers", "empty")]),
    (
        {"auth": {"type": "headers", "headers": {"Host": "x"}}},
        [("/auth/headers/Host", "header_reserved")],
    ),
    (
        {"auth": {"type": "headers", "headers": {"X": "a\r\nb"}}},
        [("/auth/headers/X", "header_value_invalid")],
    ),
    (
        {"auth": {"type": "headers", "headers": {"X": MASK}}},
        [("/auth/headers/X", "nothing_to_keep")],
    ),
    ({"headers": {"X": MASK}}, [("/headers/X", "nothing_to_keep")]),
    ({"auth": {**OAUTH2, "token_url": "ftp://x/"}}, [("/auth/token_url", "scheme_not_allowed")]),
    (
        {"auth": {**OAUTH2, "token_url": "http://10.0.0.1/"}},
        [("/auth/token_url", "address_not_allowed")],
    ),
    ({"auth": {**OAUTH2, "client_auth": "query"}}, [("/auth/client_auth", "invalid_choice")]),
    ({"auth": {**OAUTH2, "client_id": ""}}, [("/auth/client_id", "blank")]),
    ({"auth": {**OAUTH2, "scope": "a\tb"}}, [("/auth/scope", "invalid")]),
    ({"tls": "x"}, [("/tls", "not_an_object")]),
    ({"tls": {"cert": "x"}}, [("/tls/cert", "unknown_field")]),
    ({"tls": {"certificate": 5}}, [("/tls/certificate", "invalid")]),
    ({"tls": {"certificate": CLIENT.certificate}}, [("/tls/key", "incomplete")]),
    ({"tls": {**MTLS, "certificate": "hello"}}, [("/tls/certificate", "not_pem")]),
    ({"tls": {**MTLS, "key": MASK}}, [("/tls/key", "nothing_to_keep")]),
    (
        {"tls": {"certificate": EXPIRED.certificate, "key": EXPIRED.key}},
        [("/tls/certificate", "certificate_expired")],
    ),
    (
        {"tls": {"certificate": CLIENT.certificate, "key": EXPIRED.key}},
        [("/tls/key", "key_does_not_match")],
    ),
    ({"tls": {"ca": "x" * 65_537}}, [("/tls/ca", "max_length")]),
    ({"signature": "v2"}, [("/signature", "invalid_choice")]),
    ({"public_key": "whpk_x"}, [("/public_key", "read_only")]),
]


@pytest.mark.parametrize(("fields", "pointers"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_pointed_at_and_nothing_is_written(
    api: Caller, fields: dict[str, Any], pointers: list[tuple[str, str]]
) -> None:
    refused = api.post("destinations/", {"name": "x", "url": "http://127.0.0.1:9/", **fields})
    assert (refused.status, refused.pointers) == (400, pointers)
    assert not Destination.objects.exists()
    assert S3CRET.encode() not in refused.raw
    body = make(api)
    refused = api.patch(at(body), fields)
    assert (refused.status, refused.pointers) == (400, pointers)
    assert [event["type"] for event in api.get("events/").body["results"]] == [
        "destination_created"
    ]


def test_with_the_wrong_keys_all_is_readable_but_the_secrets_and_can_be_given_anew(
    api: Caller, settings: Settings
) -> None:
    body = make(api, auth=OAUTH2, tls=MTLS, headers={"X-Tenant": "acme"}, signature="both")
    with keys(settings, new_key("other")):
        read = api.get(at(body))
        assert (read.status, read.body["headers"]) == (200, {"X-Tenant": MASK})
        assert read.body["auth"] == body["auth"]
        back = {name: read.body[name] for name in ("auth", "tls", "headers")}
        for name, pointer in (
            ("auth", "/auth/client_secret"),
            ("tls", "/tls/key"),
            ("headers", "/headers/X-Tenant"),
        ):
            refused = api.patch(at(body), {name: back[name]})
            assert refused.pointers == [(pointer, "nothing_to_keep")]
        given = {"auth": OAUTH2, "tls": MTLS, "headers": {"X-Tenant": "acme"}}
        assert api.patch(at(body), given).status == 200
        assert api.post(f"{at(body)}rotate-secret/").status == 200
        destination = row(body)
        assert (destination.sealed_old_secret, destination.sealed_old_signing_key) == ("", "")
        assert [len(signing_with(destination)), access_of(destination).headers] == [
            2,
            {"X-Tenant": "acme"},
        ]


def test_a_deleted_destination_keeps_no_secret(api: Caller) -> None:
    body = make(api, auth=OAUTH2, tls=MTLS, headers={"X-Tenant": "acme"}, signature="both")
    assert api.post(f"{at(body)}rotate-secret/").status == 200
    assert api.delete(at(body)).status == 204
    gone = row(body)
    assert {getattr(gone, column) for column in PLACES} == {""}
    assert (gone.headers, gone.auth, gone.tls) == ({}, None, None)


def test_a_public_key_comes_with_the_scheme_that_needs_it_and_is_for_everybody(
    api: Caller, workspace: Workspace
) -> None:
    body = make(api)
    assert (body["signature"], body["public_key"], body["old_public_key"]) == ("v1", None, None)
    body = api.patch(at(body), {"signature": "both"}).body
    key = body["public_key"]
    assert key.startswith("whpk_")
    assert caller(workspace, role=Role.VIEWER).get(at(body)).body["public_key"] == key
    assert api.patch(at(body), {"signature": "v1a"}).body["public_key"] == key
    assert make(api, name="Second", signature="v1a")["public_key"] != key
    assert b"whsk_" not in api.get("destinations/").raw + api.get("events/").raw


def test_a_rotation_renews_secret_and_key_and_names_the_old_key(api: Caller) -> None:
    body = make(api, signature="both")
    rotated = api.post(f"{at(body)}rotate-secret/").body
    assert rotated["secret"] != body["secret"]
    assert rotated["public_key"] != body["public_key"]
    assert rotated["old_public_key"] == body["public_key"]
    assert rotated["old_secret_expires_at"] is not None
    plain = make(api, name="Plain")
    assert api.post(f"{at(plain)}rotate-secret/").body["public_key"] is None
