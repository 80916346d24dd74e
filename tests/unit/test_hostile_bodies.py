"""Bodies made to be dear: what they cost grows with their length alone.

Counted, never timed: what is done for each part of the body, and how much is answered.
"""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from tasks_app.api import json_input
from tasks_app.api.bulk import ASKED
from tasks_app.api.errors import ERRORS_SHOWN, flat, problem
from tasks_app.api.fields import Distinct, Items, StrictSerializer
from tasks_app.api.json_input import NAME_SHOWN, read_json
from tasks_app.api.replay_fields import ReplayRequestSerializer
from tasks_app.api.task import PART
from tasks_app.exceptions import FieldError, Invalid

LONG = "A" * 400_000
ODD = f'"\\u0041{LONG}"'  # a name that has the document walked


def made_pointers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every name that becomes a part of a pointer from here on."""
    seen: list[str] = []
    escaped: Callable[[str], str] = json_input.escaped

    def noted(name: str) -> str:
        seen.append(name)
        return escaped(name)

    monkeypatch.setattr(json_input, "escaped", noted)
    return seen


@pytest.mark.parametrize(
    "body",
    [
        f"{{{ODD}:[{'0,' * 50_000}0]}}",
        f"{{{ODD}:{{{','.join(f'{n}'.join(chr(34) * 2) + ':0' for n in range(50_000))}}}}}",
        f"{{{ODD}:{'[' * 15}{'0,' * 50_000}0{']' * 15}}}",
    ],
    ids=["list", "object", "deep"],
)
def test_no_pointer_is_made_while_nothing_is_wrong(
    body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = made_pointers(monkeypatch)
    assert read_json(body.encode())
    assert seen == []


def test_what_is_walked_takes_no_more_memory_than_what_was_read() -> None:
    body = f"{{{ODD}:[{'0,' * 10_000}0]}}".encode()
    tracemalloc.start()
    try:
        read_json(body)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["NaN", '"\\ud800"', '{"x":1,"x":2}'])
def test_a_refusal_makes_one_pointer_with_names_cut_short(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = made_pointers(monkeypatch)
    with pytest.raises(Invalid) as refusal:
        read_json(f"{{{ODD}:[{'0,' * 1000}{end}]}}".encode())
    (error,) = refusal.value.errors
    assert error.pointer.startswith(f"/{'A' * NAME_SHOWN}…/1000")
    assert len(error.pointer) < NAME_SHOWN + 20
    assert len(seen) <= 3


class Counting(serializers.Field[Any, Any, Any, Any]):
    """A child that counts what it is given, and gives what counts how often it is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.compared = 0

    def to_internal_value(self, data: Any) -> Any:
        self.reads += 1
        counts = self

        class Compared(str):
            __slots__ = ()
            __hash__ = str.__hash__

            def __eq__(self, other: object) -> bool:
                counts.compared += 1
                return str.__eq__(self, other)

        return Compared(data)


@pytest.mark.parametrize("kind", [Items, Distinct])
def test_a_list_that_is_too_long_is_refused_before_its_items_are_read(kind: type[Items]) -> None:
    child = Counting()
    field = kind(child=child, max_length=50)
    for many in (51, 100_000):
        with pytest.raises(ValidationError) as refusal:
            field.run_validation([str(n) for n in range(many)])
        assert [error.code for error in flat(refusal.value.detail)] == ["max_length"]
    assert child.reads == 0
    assert field.run_validation(["a", "b"]) == ["a", "b"]


def test_repeats_are_found_without_comparing_each_with_each() -> None:
    child = Counting()
    with pytest.raises(ValidationError) as refusal:
        Distinct(child=child).run_validation([str(n % 1000) for n in range(2000)])
    assert len(refusal.value.detail) == 1000
    assert child.compared <= 2 * 2000


def test_every_list_that_may_be_sent_has_an_end() -> None:
    form: StrictSerializer
    for form in (PART, ReplayRequestSerializer(), ASKED):
        lists = [field for field in form.fields.values() if isinstance(field, Items)]
        assert lists
        assert all(field.max_length for field in lists)


def test_of_many_errors_the_first_hundred_are_told_and_how_many_more_there_are() -> None:
    errors = [FieldError(f"/{n}", "invalid", "No.") for n in range(10_000)]
    made = problem(status=400, instance="/", detail="It is wrong.", errors=iter(errors))
    assert [error["pointer"] for error in made["errors"]] == [f"/{n}" for n in range(ERRORS_SHOWN)]
    assert made["detail"] == "It is wrong. There are 9,900 more errors."
    few = problem(status=400, instance="/", detail="It is wrong.", errors=errors[:ERRORS_SHOWN])
    assert (len(few["errors"]), few["detail"]) == (ERRORS_SHOWN, "It is wrong.")
