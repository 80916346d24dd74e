"""A kind that signs nothing has no secret to show, to keep or to rotate."""

import pytest

from tests.support.callers import Caller

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = {"name": "ops", "kind": "mail", "url": "mailto:ops@example.org"}


def test_a_mail_destination_shows_neither_secret_nor_signature(api: Caller) -> None:
    made = api.post("destinations/", MAIL)
    assert (made.status, made.body["secret"], made.body["signature"]) == (201, None, None)
    at = f"destinations/{made.body['id']}/"
    assert api.get(at).body["signature"] is None
    sent_back = api.call("PATCH", at, {"signature": None, "name": "people"})
    assert (sent_back.status, sent_back.body["name"]) == (200, "people")


def test_its_secret_is_not_rotated(api: Caller) -> None:
    made = api.post("destinations/", MAIL).body
    refused = api.post(f"destinations/{made['id']}/rotate-secret/")
    assert (refused.status, refused.body["type"].rpartition("/")[2]) == (409, "conflict")


def test_null_is_the_usual_signature_of_a_kind_that_signs(api: Caller) -> None:
    webhook = {"name": "a", "url": "http://127.0.0.1:9/", "signature": None}
    made = api.post("destinations/", webhook)
    assert (made.status, made.body["signature"]) == (201, "v1")
    assert made.body["secret"].startswith("whsec_")
