"""Requests that are refused by their head, and texts that would not be seen as they are."""

from typing import Any

import pytest

from tasks_app.models import Task
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db


def test_an_address_that_is_too_long_is_a_414(api: Caller) -> None:
    answer = api.get("tasks/?search=" + "a" * 17_000)
    assert (answer.status, answer.body["type"]) == (414, "/problems/address_too_long")


def test_headers_that_are_too_large_are_a_431(api: Caller) -> None:
    answer = api.get("tasks/", X_Long="a" * 66_000)
    assert (answer.status, answer.body["type"]) == (431, "/problems/headers_too_large")
    assert api.get("tasks/", X_Long="a" * 60_000).status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip", "deflate"])
def test_a_body_in_a_content_coding_is_refused_not_guessed_at(api: Caller, coding: str) -> None:
    answer = api.post("tasks/", {"title": "plain"}, Content_Encoding=coding)
    assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert not Task.objects.exists()


@pytest.mark.parametrize("coding", ["identity", ""])
def test_a_body_as_it_is_may_say_so(api: Caller, coding: str) -> None:
    assert api.post("tasks/", {"title": "x"}, Content_Encoding=coding).status == 201


@pytest.mark.parametrize("header", ["X-Long", "Content-Encoding"])
def test_what_is_refused_by_its_head_can_be_read_by_its_page_and_is_kept_by_nobody(
    api: Caller, settings: Any, header: str
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
    headers = {"Origin": "https://app.example.org", header: "a" * 66_000}
    answer = api.call("POST", "tasks/", {"title": "x"}, headers=headers)
    assert answer.status in {415, 431}
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_host_is_told_what_is_wrong(api: Caller) -> None:
    answer = api.get("tasks/", Host="evil.example.org")
    assert (answer.status, answer.body["detail"]) == (
        400,
        "This server does not answer to that Host.",
    )


@pytest.mark.parametrize("odd", ["\x01", "\x07", "\x1b[31m", "\x7f", "\x85", "\x9b", "\n", "\t"])
@pytest.mark.parametrize(
    ("field", "pointer"), [("title", "/title"), ("assignee", "/assignee"), ("labels", "/labels/0")]
)
def test_a_line_has_no_control_characters(api: Caller, field: str, pointer: str, odd: str) -> None:
    value: Any = f"a{odd}b"
    body = {"title": "x", field: [value] if field == "labels" else value}
    answer = api.post("tasks/", body)
    assert (answer.status, answer.pointers) == (400, [(pointer, "control_character")])


def test_a_description_has_lines_and_tabs_and_no_other_control_characters(api: Caller) -> None:
    good = "one\r\n\ttwo\nthree \U0001f600 \u200d \u202e"
    made = api.post("tasks/", {"title": "x", "description": good})
    assert (made.status, made.body["description"]) == (201, good)
    for odd in "\x01\x0b\x0c\x1b\x7f\x85":
        answer = api.post("tasks/", {"title": "x", "description": f"a{odd}"})
        assert answer.pointers == [("/description", "control_character")]


def test_what_another_system_calls_it_is_kept_as_it_is(api: Caller) -> None:
    made = api.post("tasks/", {"title": "x", "external_id": "a\tb\nc\x01"})
    assert (made.status, made.body["external_id"]) == (201, "a\tb\nc\x01")
