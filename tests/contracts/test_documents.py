"""What the documents list is what the code has, and what they show runs."""

import base64
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from standardwebhooks.webhooks import Webhook

from config.settings import delivery as numbers
from realtime import close_codes
from realtime.close_codes import Close
from tasks_app.connectors.base import Envelope, ErrorCode
from tasks_app.connectors.webhook import webhook_headers
from tasks_app.events.catalogue import DELIVERED, EventType
from tasks_app.models.delivery import DeliveryState
from tasks_app.models.destination import DEFAULT_RETRY_SCHEDULE

DOCS = Path(__file__).resolve().parents[2] / "docs"
Row = list[str]


def document(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """Return what stands under one heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> Iterator[Row]:
    """Yield the rows of the tables in it, without their heads, as plain texts."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {lines[number - 1] for number, line in enumerate(lines) if set(line) <= set("|- ")}
    for line in lines:
        if line not in heads and set(line) - set("|- "):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def fenced(text: str, language: str) -> str:
    """Return the one block of code in that language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_table_of_close_codes_is_the_one_in_the_code() -> None:
    listed = {
        Close(int(code), reason)
        for code, reason, _ in rows(section(document("live-stream.md"), "Why a stream ends"))
    }
    assert listed == {one for one in vars(close_codes).values() if isinstance(one, Close)}


def test_the_table_of_event_types_is_the_catalogue() -> None:
    listed = {
        kind: sent != "no"
        for kind, _, sent in rows(section(document("live-stream.md"), "Types of events"))
    }
    assert listed == {str(kind): kind in DELIVERED for kind in EventType}


def test_the_table_of_states_is_the_model_s() -> None:
    listed = [row[0] for row in rows(section(document("delivery.md"), "States"))]
    assert listed == DeliveryState.values


def test_the_table_of_errors_is_the_one_in_the_code() -> None:
    """Four are written by the sweep and along chains, the others by the door."""
    cells = [row[0] for row in rows(section(document("delivery.md"), "Errors"))]
    listed = [code for cell in cells for code in re.findall(r"\w+", cell)]
    known = [str(code) for code in ErrorCode if code]
    ours = ["poison", "destination_deleted", "chain_broken", "replay_cancelled"]
    assert sorted(listed) == sorted([*known, *ours])


def test_the_numbers_are_the_ones_in_the_code() -> None:
    seconds = {"s": 1, "min": 60, "h": 3600}
    said = re.search(r"`retry_schedule` \(([^)]*)\)", document("delivery.md"))
    assert said
    steps = [step.split() for step in said[1].split(", ")]
    assert [int(number) * seconds[unit] for number, unit in steps] == DEFAULT_RETRY_SCHEDULE
    text = section(document("delivery.md"), "Numbers")
    listed = {row[0]: float(row[1].replace(" ", "")) for row in rows(text)}
    for name, value in listed.items():
        assert value == float(getattr(numbers, name)), name
    assert listed.keys() == {name for name in dir(numbers) if name.startswith("DELIVERY_")}


@pytest.fixture
def sent() -> tuple[str, bytes, dict[str, str]]:
    """Return a secret, a body and the headers as a destination gets them while it rotates."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    other = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    body = b'{"type":"task_created","timestamp":"2026-01-01T00:00:00Z","data":{"seq":1}}'
    envelope = Envelope(
        message_id="msg_1",
        attempt=1,
        sequence=1,
        method="POST",
        url="https://example.org/",
        headers={},
        secrets=(other, secret),
        body=body,
        timeout=15.0,
    )
    return secret, body, webhook_headers(envelope, timestamp=int(time.time()))


def test_the_receiver_in_the_documents_takes_what_we_send_and_nothing_else(
    sent: tuple[str, bytes, dict[str, str]],
) -> None:
    secret, body, headers = sent
    shown: dict[str, Any] = {}
    exec(compile(fenced(document("delivery.md"), "python"), "docs/delivery.md", "exec"), shown)
    receive = shown["receive"]
    Webhook(secret).verify(body, headers)  # the package itself agrees
    done: list[Any] = []
    store: set[str] = set()
    assert receive(secret, headers, body, seen=store, work=done.append) == 204
    assert done == [{"seq": 1}]
    assert receive(secret, headers, body, seen=store, work=done.append) == 204
    assert len(done) == 1  # the second request of one delivery is answered and not worked on
    assert receive(secret, headers, body + b" ", seen=set(), work=done.append) == 401
    assert receive(secret, headers | {"webhook-id": "msg_2"}, body, seen=set(), work=print) == 401
    assert len(done) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", re.findall(r"^```sql\n(.*?)^```", document("operations.md"), re.M | re.S)
)
def test_the_statements_for_operators_run_on_our_tables(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.description


def test_the_log_lines_for_operators_are_written_somewhere() -> None:
    named = section(document("operations.md"), "Log lines worth an alarm")
    lines = {name for row in rows(named) for name in re.findall(r"\w+", row[0])}
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in ("config", "tasks_app", "realtime")
        for path in (DOCS.parent / package).rglob("*.py")
    )
    assert len(lines) > 5
    assert {line for line in lines if f'"{line}"' not in code} == set()


def slug(title: str) -> str:
    """Return a heading's anchor as GitHub makes it: without punctuation."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", sorted([*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]), ids=str)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        linked = path.parent / name
        assert linked.exists(), target
        titles = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), re.M) if anchor else []
        assert not anchor or anchor in {slug(title) for title in titles}
