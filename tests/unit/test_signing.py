"""Our signatures against the public library's, both ways."""

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from tasks_app.security.signing import BadSecret, BadSignature, new_secret, sign, verify

MESSAGE = "msg_0198"


def _headers(signature: str, timestamp: int) -> dict[str, str]:
    return {
        "webhook-id": MESSAGE,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def _now() -> int:
    return int(datetime.now(UTC).timestamp())


@given(st.text())
def test_the_public_library_verifies_ours(text: str) -> None:
    secret, now, body = new_secret(), _now(), json.dumps(text).encode()
    headers = _headers(sign(secrets=[secret], message_id=MESSAGE, timestamp=now, body=body), now)
    assert Webhook(secret).verify(body, headers) == text
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_we_verify_the_public_library_s(text: str) -> None:
    secret, at = new_secret(), datetime.now(UTC).replace(microsecond=0)
    headers = _headers(Webhook(secret).sign(MESSAGE, at, text), int(at.timestamp()))
    verify(secrets=[secret], headers=headers, body=text.encode(), now=at.timestamp())


def test_while_a_secret_rotates_either_one_verifies() -> None:
    new, old, now = new_secret(), new_secret(), _now()
    signature = sign(secrets=[new, old], message_id=MESSAGE, timestamp=now, body=b"{}")
    assert len(signature.split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(b"{}", _headers(signature, now))
        verify(secrets=[secret], headers=_headers(signature, now), body=b"{}", now=now)


@pytest.mark.parametrize("size", [24, 64])
def test_a_secret_holds_24_to_64_bytes(size: int) -> None:
    secret = "whsec_" + b64encode(b"k" * size).decode()
    assert sign(secrets=[secret], message_id=MESSAGE, timestamp=1, body=b"").startswith("v1,")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_!!!",
        b64encode(b"k" * 32).decode(),
        "whsec_" + b64encode(b"k" * 23).decode(),
        "whsec_" + b64encode(b"k" * 65).decode(),
        "whsec_" + b64encode(b"k" * 32).decode() + "é",
    ],
)
def test_what_is_no_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(BadSecret) as refused:
        sign(secrets=[secret], message_id=MESSAGE, timestamp=1, body=b"")
    assert len(secret) < 10 or secret not in str(refused.value)


def test_without_a_secret_nothing_goes_out_unsigned() -> None:
    with pytest.raises(BadSecret):
        sign(secrets=[], message_id=MESSAGE, timestamp=1, body=b"")


def test_an_id_that_would_blur_the_signed_content_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        sign(secrets=[new_secret()], message_id="msg.1", timestamp=1, body=b"")


@pytest.mark.parametrize("skew", [-301, 301])
def test_a_message_that_is_too_old_or_too_new_is_refused(skew: int) -> None:
    secret = new_secret()
    signature = sign(secrets=[secret], message_id=MESSAGE, timestamp=10_000 + skew, body=b"")
    with pytest.raises(BadSignature, match="too far"):
        verify(secrets=[secret], headers=_headers(signature, 10_000 + skew), body=b"", now=10_000)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": "9999"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e4"},
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-signature": "v1,é"},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]) -> None:
    secret = new_secret()
    signature = sign(secrets=[secret], message_id=MESSAGE, timestamp=10_000, body=b"")
    with pytest.raises(BadSignature):
        verify(secrets=[secret], headers=_headers(signature, 10_000) | change, body=b"", now=10_000)
