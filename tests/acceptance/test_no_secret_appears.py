"""Planted secrets appear nowhere: not in a row, an answer, a frame, a log line or a message.

The whole house runs with its logs at their most talkative. Every kind of credential is given to
destinations that give away what they get in every way a peer can; tokens are refused, secrets are
broken, requests are malformed, the database refuses. Then every row of the database, all that went
through Valkey, every answer to every role, the stream and the logs are searched for what was
planted.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.authority import Authority
from tests.support.background import in_background
from tests.support.echoing import WAYS, give_away
from tests.support.followers import SocketFollower
from tests.support.house import CHECKOUT, House, running_house
from tests.support.receiver import receiver
from tests.support.threads import until
from tests.support.token_server import token_server

CLIENT = Authority().issue("ours")
PLANTED = {
    "basic password": "planted-basic-pa55/+w0rd",
    "bearer token": "planted-bearer-t0ken",
    "secret header": "planted-header-k3y",
    "plain header": "planted-plain-h3ader",
    "client secret": "planted-client-s3cret",
    "issued token": "planted-issued-t0ken",
    "refused value": "planted-refused-v4lue",
    "wrong key": "planted-wrong-k3y",
    "wrong ticket": "planted-wrong-t1cket",
    "private key": CLIENT.key.splitlines()[1],
    "signing key": "whsk_",
}
URL_TOKEN = "planted-url-t0ken"


class Spy:
    """Writes down every command that Valkey is given (MONITOR)."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._heard = bytearray()
        self._socket = socket.create_connection((at.hostname or "", at.port or 6379))
        if at.password:
            self._socket.sendall(f"AUTH {at.password}\r\n".encode())
            assert self._socket.recv(100).startswith(b"+OK")
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(5) == b"+OK\r\n"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while part := self._socket.recv(65_536):
            self._heard += part

    def close(self) -> str:
        """Stop listening; return all that was heard."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self._socket.close()
        return self._heard.decode(errors="replace")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(LOG_LEVEL="DEBUG") as running:
        yield running


@contextlib.contextmanager
def following(house: House) -> Iterator[SocketFollower]:
    """Follow the whole log over a WebSocket."""
    follower = SocketFollower(house, after="0")
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def people(house: House) -> dict[str, str]:
    """Return a key for each role in the demo workspace."""
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings.local", "DATA_DIR": str(house.data_dir)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.people", "demo"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        check=True,
    )
    made: dict[str, str] = json.loads(run.stdout)
    return made


def credentials(token_url: str) -> list[dict[str, Any]]:
    return [
        {"type": "basic", "username": "bob", "password": PLANTED["basic password"]},
        {"type": "bearer", "token": PLANTED["bearer token"]},
        {"type": "headers", "headers": {"X-Api-Key": PLANTED["secret header"]}},
        {
            "type": "oauth2",
            "token_url": token_url,
            "client_id": "us",
            "client_secret": PLANTED["client secret"],
        },
    ]


def make_destinations(api: httpx.Client, base: str, token_url: str) -> list[str]:
    """Make one for each kind of credential and way to give it away; return their secrets."""
    secrets = []
    tls = {"certificate": CLIENT.certificate, "key": CLIENT.key}
    for auth in credentials(token_url):
        for way in WAYS if auth["type"] == "bearer" else WAYS[:3]:
            body = {
                "name": f"{auth['type']} {way}",
                "url": f"{base}/{way}?sig={URL_TOKEN}",
                "auth": auth,
                "tls": tls if way == "echo" else None,
                "headers": {"X-Plain": PLANTED["plain header"]},
                "signature": "both",
                "retry_schedule": [1, 1],
                "timeout": 5,
            }
            made = api.post("destinations/", json=body)
            assert made.status_code == 201, made.text
            secrets.append(made.json()["secret"])
    first = api.get("destinations/").json()["results"][-1]["id"]
    secrets.append(api.post(f"destinations/{first}/rotate-secret/").json()["secret"])
    return secrets


def misbehave(house: House, api: httpx.Client, one: str) -> list[str]:
    """Be refused in every way, with a secret in each request; return the tickets that were used."""
    bad = f"{PLANTED['refused value']} \n"
    for body in (
        {"auth": {"type": "bearer", "token": bad}},
        {"auth": {"type": "basic", "username": "a:b", "password": bad}},
        {"auth": {"type": "headers", "headers": {"X": bad}}},
        {"headers": {"X": bad}},
        {"tls": {"certificate": bad, "key": bad}},
        {"tls": {"certificate": CLIENT.certificate, "key": CLIENT.key, "ca": bad}},
        {"auth": {"type": bad}},
        {"unknown": bad},
    ):
        refused = api.patch(f"destinations/{one}/", json=body)
        assert refused.status_code == 400
        assert PLANTED["refused value"] not in refused.text
    raw = b'{"auth": {"type": "bearer", "token": "' + bad.encode() + b'"'
    assert api.patch(f"destinations/{one}/", content=raw).status_code in (400, 415)
    with house.client(PLANTED["wrong key"]) as stranger:
        assert stranger.get("destinations/").status_code == 401
    api.get("tasks/", params={"search": PLANTED["refused value"]})
    ticket = str(api.post("stream/ticket/").json()["ticket"])
    for given, first in ((ticket, "welcome"), (PLANTED["wrong ticket"], "")):
        url = f"{house.socket_url}/ws/tasks?ticket={given}"
        with contextlib.suppress(ConnectionClosed), connect(url, proxy=None) as opened:
            assert json.loads(opened.recv(timeout=10))["type"] == first  # or closed with 4501
    return [ticket]


def let_the_database_refuse(house: House, api: httpx.Client) -> None:
    """Make a write fail that nobody foresaw, once by a constraint and once by a lock."""
    auth = {"type": "bearer", "token": PLANTED["bearer token"]}
    plain = {"X-Plain": PLANTED["plain header"]}
    body = {
        "name": "boom",
        "url": f"http://127.0.0.1:9/?sig={URL_TOKEN}",
        "auth": auth,
        "headers": plain,
    }
    with psycopg.connect(house.environment()["DATABASE_URL"], autocommit=True) as database:
        database.execute("ALTER TABLE destination ADD CONSTRAINT boom CHECK (name <> 'boom')")
        failed = api.post("destinations/", json=body)
        assert (failed.status_code, found(failed.text, PLANTED)) == (500, set())
        database.execute("ALTER TABLE destination DROP CONSTRAINT boom")
        [(one,)] = database.execute("SELECT id FROM destination LIMIT 1").fetchall()
        with database.transaction():
            database.execute("SELECT 1 FROM destination WHERE id = %s FOR UPDATE", [one])
            assert api.patch(f"destinations/{one}/", json={"auth": auth}).status_code == 503


def break_one(house: House, name: str) -> None:
    """Let a destination's credentials not open any more."""
    with psycopg.connect(house.environment()["DATABASE_URL"]) as database:
        database.execute(
            "UPDATE destination SET sealed_auth = sealed_secret WHERE name = %s", [name]
        )


def all_is_tried(house: House) -> bool:
    """Tell whether every destination has had its attempts, and those that fail all of theirs."""
    [(untried,)] = house.query(
        "SELECT count(*) FROM delivery WHERE event_type = 'task_created' AND attempts = 0"
    )
    return bool(untried == 0)


def rows_of(house: House) -> Iterator[tuple[str, str]]:
    """Yield every row of every table as text, what is kept as bytes as well."""
    tables = house.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        for (row,) in house.query(f'SELECT to_jsonb(t)::text FROM "{table}" t'):
            kept = (bytes.fromhex(text) for text in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", row))
            yield table, row + "".join(one.decode(errors="replace") for one in kept)


def answers_to(api: httpx.Client) -> Iterator[tuple[str, str]]:
    """Yield every answer that the API gives to somebody who reads all there is."""
    for name in ("tasks", "destinations", "deliveries", "replays"):
        listed = api.get(f"{name}/?limit=500")
        yield name, listed.text
        for row in listed.json()["results"]:
            yield name, api.get(f"{name}/{row['id']}/").text
    after = 0
    while (page := api.get("events/", params={"after": after, "limit": 500}).json())["results"]:
        yield "events", json.dumps(page)
        after = page["results"][-1]["seq"]


def found(text: str, planted: dict[str, str]) -> set[str]:
    return {name for name, secret in planted.items() if secret in text}


@pytest.mark.timeout(300)  # it starts the whole house, and reads everything in it
def test_no_planted_secret_appears_anywhere(house: House) -> None:
    spy = Spy(house.environment()["REDIS_URL"])
    keys = people(house)
    with (
        in_background(receiver(give_away)) as peer,
        in_background(token_server()) as tokens,
        following(house) as follower,
        house.client(keys["admin"]) as api,
    ):
        tokens.say = {"access_token": PLANTED["issued token"]}
        base = f"http://127.0.0.1:{peer.port}"
        secrets = make_destinations(api, base, tokens.url)
        break_one(house, "bearer echo")
        for number in range(1):
            assert api.post("tasks/", json={"title": f"Task {number}"}).status_code == 201
        listed = api.get("destinations/?limit=500").json()["results"]
        repeated = {"Idempotency-Key": "kept with its answer"}
        one = next(row["id"] for row in listed if row["headers"])
        named = api.patch(f"destinations/{one}/", json={"name": "once"}, headers=repeated)
        assert PLANTED["plain header"] in named.text
        tickets = misbehave(house, api, listed[0]["id"])
        let_the_database_refuse(house, api)
        until(lambda: all_is_tried(house), "every destination has been tried", 60)
        head = api.get("events/", params={"limit": 1}).headers
        follower.wait_for_seq(int(head["Stream-Cursor"].partition(".")[2]))
        frames = json.dumps([follower.seen, follower.other])
        planted = {
            **PLANTED,
            **{f"key of the {role}": key for role, key in keys.items()},
            **{f"secret {n}": one.removeprefix("whsec_") for n, one in enumerate(secrets)},
            **{f"ticket {n}": one for n, one in enumerate(tickets)},
        }
        told = planted | {"url": URL_TOKEN}
        came = "".join(str(request.headers) for request in peer.requests)
        arrived = {"bearer token", "secret header", "plain header", "issued token"}
        assert found(came, planted) >= arrived
        for table, row in rows_of(house):
            assert found(row, planted if table == "destination" else told) == set(), (table, row)
        for role, key in keys.items():
            with house.client(key) as reader:
                for name, text in answers_to(reader):
                    may = {"plain header", "url"} if role in ("admin", "owner") else set()
                    shown = found(text, told) - (may if name == "destinations" else set())
                    assert shown == set(), (role, name, text)
    assert found(frames, told) == set()
    assert found(spy.close(), told) == set()
    log = house.log.read_text()
    assert "send_fault" in log
    assert "Traceback" in log
    assert [line for line in log.splitlines() if found(line, told)] == []
