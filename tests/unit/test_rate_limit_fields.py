"""What the RateLimit fields say, read as structured fields; and whose address counts."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.security.client_address import client_address
from tasks_app.security.rate_limit import Policy, Verdict

ITEM = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]+)"((?:;[a-z]+=[0-9]{1,15})+)')


def read(field: str) -> tuple[str, dict[str, int]]:
    """Read a list of one string with whole-number parameters (RFC 9651 §3.1, §3.3)."""
    match = ITEM.fullmatch(field)
    assert match, field
    pairs = (part.split("=") for part in match[2].strip(";").split(";"))
    return match[1], {name: int(value) for name, value in pairs}


policies = st.builds(
    Policy,
    name=st.just("key"),
    per_minute=st.integers(1, 1_000_000),
    burst=st.integers(1, 1_000_000),
)


@given(policies)
def test_the_announced_policy_is_the_rate_that_is_kept(policy: Policy) -> None:
    name, told = read(policy.announced)
    assert (name, told["q"]) == ("key", policy.burst)
    assert told["w"] >= 1
    assert told["w"] - 1 < policy.burst * 60 / policy.per_minute <= told["w"]


@given(policies, st.data())
def test_who_paces_himself_by_what_is_told_is_not_told_too_much(
    policy: Policy, data: st.DataObject
) -> None:
    """r in t seconds is never more than the policy restores in them, but for rounding."""
    remaining = data.draw(st.integers(0, policy.burst - 1))
    verdict = Verdict(policy=policy, allowed=True, remaining=remaining, wait=0)
    assert "Retry-After" not in verdict.headers()
    _, told = read(verdict.headers()["RateLimit"])
    assert told["r"] == remaining
    assert told["t"] >= 1
    assert told["r"] * policy.interval <= told["t"] * 1_000_000


@given(policies, st.integers(1, 10**12))
def test_a_refusal_s_window_ends_with_its_retry_after(policy: Policy, wait: int) -> None:
    verdict = Verdict(policy=policy, allowed=False, remaining=0, wait=wait)
    told = verdict.headers()
    assert int(told["Retry-After"]) == max(1, math.ceil(wait / 1e6))
    assert read(told["RateLimit"])[1] == {"r": 0, "t": int(told["Retry-After"])}


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.3", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("8.8.8.8", "203.0.113.9", "8.8.8.8"),  # nobody's proxy: it may claim nothing
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", "2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:8.8.8.8", None, "8.8.8.8"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("", None, "unknown"),
    ],
)
def test_the_address_that_counts(peer: str, forwarded: str | None, counted: str) -> None:
    meta = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    assert client_address(meta) == counted
