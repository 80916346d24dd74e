"""Our signatures against the public library's, both ways."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from tasks_app.security.signing import (
    BadSecret,
    BadSignature,
    check_secret,
    new_key_pair,
    new_secret,
    sign,
    verify,
)

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
        new_key_pair().public,
        "whsk_" + b64encode(b"k" * 32).decode(),
        "whsk_" + b64encode(b"k" * 64).decode(),
    ],
    ids=str.__len__,
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


# The specification's own example of a v1a signature, with the key pair and the message that make it
# in the reference service of its authors.
PAIR = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
EXAMPLE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)


def test_our_ed25519_signature_is_the_specification_s_example() -> None:
    signed = sign(
        secrets=[f"whsk_{PAIR}"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1_614_265_330,
        body=b'{"test": 2432232314}',
    )
    assert signed == EXAMPLE


@given(st.binary())
def test_a_v1a_signature_verifies_as_the_specification_says(body: bytes) -> None:
    """`id.timestamp.body` under the ed25519 key after `whpk_`, by `cryptography` alone."""
    pair, now = new_key_pair(), _now()
    signature = sign(secrets=[pair.private], message_id=MESSAGE, timestamp=now, body=body)
    version, _, text = signature.partition(",")
    assert version == "v1a"
    key = Ed25519PublicKey.from_public_bytes(b64decode(pair.public.removeprefix("whpk_")))
    key.verify(b64decode(text), f"{MESSAGE}.{now}.".encode() + body)
    with pytest.raises(InvalidSignature):
        key.verify(b64decode(text), f"{MESSAGE}.{now}.".encode() + body + b" ")
    verify(secrets=[pair.public], headers=_headers(signature, now), body=body, now=now)
    with pytest.raises(BadSignature):
        verify(secrets=[pair.public], headers=_headers(signature, now), body=body + b" ", now=now)


def test_every_secret_and_key_signs_in_one_header_and_any_one_verifies() -> None:
    """While both schemes are on and both rotate, there are four signatures."""
    secrets, pairs, now = (new_secret(), new_secret()), (new_key_pair(), new_key_pair()), _now()
    signing = [*secrets, *(pair.private for pair in pairs)]
    signature = sign(secrets=signing, message_id=MESSAGE, timestamp=now, body=b"{}")
    assert [one.partition(",")[0] for one in signature.split(" ")] == ["v1", "v1", "v1a", "v1a"]
    for secret in secrets:
        Webhook(secret).verify(b"{}", _headers(signature, now))
    for one in (*secrets, *(pair.public for pair in pairs)):
        verify(secrets=[one], headers=_headers(signature, now), body=b"{}", now=now)
    with pytest.raises(BadSignature):
        headers = _headers(signature, now)
        verify(secrets=[new_key_pair().public, new_secret()], headers=headers, body=b"{}", now=now)


def test_a_private_key_is_not_shown_and_does_not_verify() -> None:
    pair = new_key_pair()
    assert pair.private not in repr(pair)
    check_secret(pair.public)
    with pytest.raises(BadSecret, match="public key does"):
        check_secret(pair.private)
