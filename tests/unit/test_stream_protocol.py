"""The stream's pure parts: frames, cursors, filters, messages, the rate, origins."""

import json

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as Oracle
from websockets.frames import Opcode

from realtime.cursor import BadCursor, Cursor, Head, parse_cursor
from realtime.filter import BadFilter, parse_filter
from realtime.frames import Batch, EventFrame, Frame, HeadFrame, in_batches
from realtime.origin import is_allowed
from realtime.protocol import Answer, Rate, Renew, Subscribe, read_text

TASK = "01a1fc7b-67fb-7c32-9d96-8543b13341a0"
EVENT = {
    "seq": 1,
    "type": "task_synced",
    "task": {"id": TASK, "assignee": "ann", "labels": ["x", "y"]},
    "delivery": {"destination": TASK},
}


def event(seq: int, fill: int = 0) -> EventFrame:
    return EventFrame({"seq": seq, "fill": "x" * fill}, epoch="e")


@pytest.mark.parametrize("size", [0, 100, 125, 126, 127, 65_535, 65_536, 200_000])
def test_our_websocket_framing_is_that_of_another_implementation(size: int) -> None:
    frame = Frame({"m": "x" * size})
    assert frame.websocket == Oracle(Opcode.TEXT, frame.text).serialize(mask=False)


def test_an_event_stream_block_carries_cursor_name_and_json() -> None:
    assert event(7).event_stream == b'id: e.7\ndata: {"seq":7,"fill":""}\n\n'
    assert Frame({"a": "\n"}, name="bye").event_stream == b'event: bye\ndata: {"a":"\\n"}\n\n'
    assert HeadFrame(9, epoch="e").event_stream == b"id: e.9\n\n"


@given(st.lists(st.integers(0, 300), min_size=1), st.integers(1, 1000))
def test_batches_hold_every_event_once_in_order(fills: list[int], most: int) -> None:
    frames = [event(number, fill) for number, fill in enumerate(fills, 1)]
    batches = in_batches(frames, most)
    assert [frame for batch in batches for frame in batch.frames] == frames
    assert all(batch.last - batch.first + 1 == len(batch.frames) for batch in batches)
    assert b"".join(batch.websocket for batch in batches) == Batch(frames).websocket


@pytest.mark.parametrize("text", ["", "x", "-1", "1.x", "a.b.1", ".1", "1.", "１", "1e3", "+1"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        parse_cursor(text)


def test_a_cursor_lies_in_a_log_of_its_epoch_up_to_the_head() -> None:
    head = Head(5, "e")
    assert all(parse_cursor(text).lies_in(head) for text in ("0", "5", "e.5"))
    assert not any(parse_cursor(text).lies_in(head) for text in ("6", "f.5", "e.6"))
    assert parse_cursor("e.5") == Cursor(5, "e")


@pytest.mark.parametrize(
    ("criteria", "seen"),
    [
        ({"task": TASK}, True),
        ({"task": TASK.replace("-", "").upper()}, True),
        ({"assignee": ["bob", "ann"]}, True),
        ({"assignee": "bob"}, False),
        ({"label": ["z", "y"]}, True),
        ({"label": "z"}, False),
        ({"destination": TASK}, True),
        ({"types": ["task_synced"]}, True),
        ({"types": "task_created"}, False),
        ({"types": "task_synced", "assignee": "bob"}, False),
        ({"types": "task_synced", "assignee": None}, True),
    ],
)
def test_a_filter_needs_every_criterion_and_any_of_its_values(
    criteria: dict[str, object], seen: bool
) -> None:
    wanted = parse_filter(criteria)
    assert wanted is not None
    assert wanted.matches(EVENT) is seen


def test_a_destination_s_own_event_matches_its_filter() -> None:
    wanted = parse_filter({"destination": TASK})
    assert wanted is not None
    assert wanted.matches({"type": "destination_paused", "destination": {"id": TASK}})
    assert not wanted.matches({"type": "task_created", "task": {"id": TASK}})


@pytest.mark.parametrize(
    "criteria",
    [
        {"who": "x"},
        {"task": "12"},
        {"task": 12},
        {"types": ["nonsense"]},
        {"types": []},
        {"label": [1]},
        {"label": {"a": 1}},
        {"label": ["x"] * 101},
    ],
)
def test_a_filter_for_what_is_not_there_is_refused(criteria: dict[str, object]) -> None:
    with pytest.raises(BadFilter):
        parse_filter(criteria)


def test_no_criteria_are_no_filter() -> None:
    assert parse_filter({}) is None
    assert parse_filter({"task": None}) is None


@given(st.text())
def test_any_text_gets_an_answer_and_never_an_error(text: str) -> None:
    answer = read_text(text)
    assert isinstance(answer, Answer | Subscribe | Renew)


@pytest.mark.parametrize("text", ["hi", "[1]", '"x"', "12", "null", "{", "NaN", '{"a": NaN}', ""])
def test_what_is_no_json_object_comes_back_as_it_was(text: str) -> None:
    answer = read_text(text)
    assert isinstance(answer, Answer)
    assert json.loads(answer.frame.text) == {"type": "echo", "message": text}


def test_deep_json_is_only_a_text() -> None:
    answer = read_text("[" * 30_000)
    assert isinstance(answer, Answer)
    assert answer.frame.message["type"] == "echo"


def test_the_rate_allows_so_many_in_any_second_and_no_more() -> None:
    rate = Rate(50)
    assert not any(rate.exceeded(index * 0.01) for index in range(50))
    assert rate.exceeded(0.6)
    steady = Rate(50)
    assert not any(steady.exceeded(index * 0.021) for index in range(500))


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://app.example", "app.example", True),
        ("https://app.example", "app.example", True),
        ("https://app.example", "app.example:443", True),
        ("http://app.example:8000", "app.example:8000", True),
        ("http://app.example:8000", "app.example:8001", False),
        ("http://APP.example", "app.EXAMPLE", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://app.example.evil", "app.example", False),
        ("http://unknown.example", "unknown.example", False),
        ("https://friend.example", "app.example", True),
        ("https://friend.example", None, True),
        ("https://friend.example.evil", "app.example", False),
        ("null", "app.example", False),
        ("", "app.example", False),
        ("http://app.example:x", "app.example", False),
        ("http://app.example", None, False),
    ],
)
def test_only_our_own_pages_and_named_ones_may_follow(
    origin: str, host: str | None, allowed: bool
) -> None:
    with override_settings(
        ALLOWED_HOSTS=["app.example", "[::1]"], ALLOWED_ORIGINS=["https://friend.example"]
    ):
        assert is_allowed(origin, host=host) is allowed
