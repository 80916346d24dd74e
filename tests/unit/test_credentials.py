"""API keys and tickets are random, shown once and found again by their hash."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from tasks_app.security import api_keys, tickets


def test_a_new_key_is_marked_and_found_by_its_hash() -> None:
    key = api_keys.new_api_key()
    assert key.plain.startswith("ac_")
    assert len(key.plain) == 46
    assert key.plain.startswith(key.prefix)
    assert len(key.prefix) == 11
    assert (
        key.digest == api_keys.digest(key.plain) == hashlib.sha256(key.plain.encode()).hexdigest()
    )


def test_no_two_keys_or_tickets_are_alike() -> None:
    assert len({api_keys.new_api_key().plain for _ in range(1_000)}) == 1_000
    assert len({tickets.new_ticket().plain for _ in range(1_000)}) == 1_000


def test_the_plain_text_is_in_no_repr() -> None:
    key, ticket = api_keys.new_api_key(), tickets.new_ticket()
    assert key.plain not in repr(key)
    assert ticket.plain not in repr(ticket)
    assert ticket.digest == tickets.digest(ticket.plain)


def test_the_demo_key_shows_at_most_half_of_itself() -> None:
    assert api_keys.prefix("dev-secret-token") == "dev-secr"
    assert api_keys.prefix("") == ""


@given(st.text())
def test_any_text_presented_as_a_credential_has_a_hash(text: str) -> None:
    assert len(api_keys.digest(text)) == len(tickets.digest(text)) == 64
