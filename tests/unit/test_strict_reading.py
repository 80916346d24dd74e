"""Reading what clients send: ordinary JSON comes through unchanged, all else has a place."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.api.concurrency import etag, expected_versions
from tasks_app.api.fields import read_moment
from tasks_app.api.json_input import INTEGERS, MAX_DEPTH, depth, read_json
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import Invalid

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(INTEGERS.start, INTEGERS.stop - 1)
    | st.floats(INTEGERS.start, INTEGERS.stop, exclude_min=True, exclude_max=True)
    | TEXT
)
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30
).filter(lambda value: depth(value) <= MAX_DEPTH)


@given(JSON)
def test_ordinary_json_comes_through_unchanged(value: Any) -> None:
    for body in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert read_json(body) == value


@given(JSON)
def test_what_was_read_can_be_written(value: Any) -> None:
    assert orjson.loads(orjson.dumps(read_json(json.dumps(value).encode()))) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_place(body: bytes) -> None:
    try:
        read_json(body)
    except Invalid as refusal:
        (error,) = refusal.errors
        assert error.pointer == "" or error.pointer.startswith("/")
        assert orjson.dumps(error.pointer + error.detail)


@given(st.lists(st.sampled_from("abc/~"), min_size=1, max_size=6), st.integers(0, 5))
def test_a_pointer_leads_to_the_place(names: list[str], index: int) -> None:
    document = "NaN"
    for name in reversed(names):
        document = f'{{"x": 1, "{name}": [{"0," * index}{document}]}}'
    with pytest.raises(Invalid) as refusal:
        read_json(document.encode())
    escaped = [name.replace("~", "~0").replace("/", "~1") for name in names]
    (error,) = refusal.value.errors
    assert (error.pointer, error.code) == (
        ("".join(f"/{name}/{index}" for name in escaped), "not_a_number")
        if len(names) * 2 < MAX_DEPTH + 1
        else (error.pointer, "too_deep")
    )


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 900, 100_000])
def test_depth_is_bounded_however_deep(levels: int) -> None:
    with pytest.raises(Invalid) as refusal:
        read_json(b"[" * levels + b"]" * levels)
    assert refusal.value.errors[0].code == "too_deep"


def test_sixteen_levels_are_read() -> None:
    assert depth(read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)) == MAX_DEPTH


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001
def test_a_time_is_read_as_the_log_writes_it(value: datetime) -> None:
    value = value.replace(tzinfo=UTC)
    assert read_moment(moment(value) or "") == value


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 12:00:00+02:30", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000+00:00"),
        ("2026-01-31T12:00:00.123456789-01:00", "2026-01-31T13:00:00.123456+00:00"),
    ],
)
def test_forms_of_rfc_3339(text: str, utc: str) -> None:
    assert read_moment(text).isoformat() == utc


@given(st.integers(1, 2**31 - 1))
def test_an_etag_matches_its_own_version_only(version: int) -> None:
    assert expected_versions(etag(version)) == frozenset({version})
    assert expected_versions(f"W/{etag(version)}") == frozenset()
    assert expected_versions(f'"x", {etag(version)}, W/"7"') == frozenset({version})


@given(st.text(max_size=30))
def test_any_if_match_is_understood_or_refused(header: str) -> None:
    with contextlib.suppress(Invalid):
        versions = expected_versions(header)
        assert versions is None or all(version > 0 for version in versions)
