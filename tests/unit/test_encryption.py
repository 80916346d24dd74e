"""Secrets at rest open with the right key in the right place, and never otherwise."""

import os
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.security.encryption import BadKeyRing, KeyRing, Tampered, WrongKey

KEY = bytes(range(32))  # the same in every process, or xdist sees other test names
RING = KeyRing({"k1": KEY})


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="utf-8")))
def test_what_was_encrypted_comes_back_in_its_place(plain: str, context: str) -> None:
    value = RING.encrypt(plain, context=context)
    assert RING.decrypt(value, context=context) == plain
    assert plain not in value or len(plain) < 5


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert RING.encrypt("secret", context="a") != RING.encrypt("secret", context="a")


def test_a_value_moved_to_another_row_does_not_open() -> None:
    value = RING.encrypt("secret", context="destination:1:secret")
    with pytest.raises(Tampered):
        RING.decrypt(value, context="destination:2:secret")


@given(st.data())
def test_a_value_with_any_bit_changed_does_not_open(data: st.DataObject) -> None:
    head, key_id, text = RING.encrypt("secret", context="a").split(":")
    sealed = bytearray(urlsafe_b64decode(text))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Tampered):
        RING.decrypt(f"{head}:{key_id}:{urlsafe_b64encode(sealed).decode()}", context="a")


def test_a_key_that_is_not_in_the_ring_is_named_and_nothing_comes_back() -> None:
    value = RING.encrypt("secret", context="a")
    with pytest.raises(WrongKey, match="k1"):
        KeyRing({"k2": KEY}).decrypt(value, context="a")


def test_another_key_under_the_same_name_does_not_open() -> None:
    value = RING.encrypt("secret", context="a")
    with pytest.raises(Tampered):
        KeyRing({"k1": os.urandom(32)}).decrypt(value, context="a")


@pytest.mark.parametrize(
    "value", ["", "secret", "whsec_abc", "v1:k1", "v1:k1:", "v1:k1:!", "v1:k1:AAA", "v2:k1:AAAA"]
)
def test_what_is_not_ours_is_refused_not_passed_through(value: str) -> None:
    with pytest.raises(Tampered):
        RING.decrypt(value, context="a")


def test_rotation_moves_a_value_to_the_first_key_and_leaves_a_current_one_alone() -> None:
    old = RING.encrypt("secret", context="a")
    ring = KeyRing({"k2": os.urandom(32), "k1": KEY})
    new = ring.rotate(old, context="a")
    assert (ring.is_current(old), ring.is_current(new)) == (False, True)
    assert ring.decrypt(old, context="a") == ring.decrypt(new, context="a") == "secret"
    assert ring.rotate(new, context="a") == new
    with pytest.raises(Tampered):
        ring.rotate(new, context="b")


def test_a_ring_is_read_from_the_environment_s_text_and_from_a_list() -> None:
    first, second = (b64encode(os.urandom(32)).decode() for _ in range(2))
    ring = KeyRing.parse(f" k2:{first} , k1:{second}")
    value = KeyRing.parse([f"k1:{second}"]).encrypt("secret", context="a")
    assert ring.decrypt(value, context="a") == "secret"
    assert ring.encrypt("x", context="a").startswith("v1:k2:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k1",
        "k1:",
        "k1:AAAA",
        "k1:****",
        f"k 1:{b64encode(KEY).decode()}",
        f"k1:{b64encode(KEY).decode()},k1:{b64encode(KEY).decode()}",
        f"k1:{b64encode(KEY[:31]).decode()}",
        f"k1:{b64encode(KEY).decode()[:-1]}",
    ],
)
def test_a_ring_that_is_none_is_refused_without_showing_a_key(text: str) -> None:
    with pytest.raises(BadKeyRing) as refused:
        KeyRing.parse(text)
    assert b64encode(KEY).decode()[:20] not in str(refused.value)
