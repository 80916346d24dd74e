"""A mapping gives JSON or a sentence, and costs no more than its budget, whoever wrote it."""

import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks_app.connectors import mapping as rooms
from tasks_app.connectors.mapping import (
    BadMapping,
    MappingError,
    MappingFailed,
    compiled,
    evaluate,
    mapped,
)
from tasks_app.connectors.sample import SAMPLE_TASK, sample_event
from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.events.snapshot import TASK_FIELDS

# JMESPath's old literals without quotes still are texts, and warn whoever looks for warnings.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated string literal")
EVENT = sample_event("task_created")
LARGE = {**EVENT, "task": {**SAMPLE_TASK, "description": "d" * 20_000, "metadata": [1] * 8_000}}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("task.title", "Call the customer back"),
        ("{t: task.title, n: task.number}", {"t": "Call the customer back", "n": 12}),
        ("join(', ', task.labels)", "sales, phone"),
        ("task.labels[?starts_with(@, 's')] | [0]", "sales"),
        ("task.metadata.*", ["2026-017", 120.5]),
        ("task.status == 'open'", True),
        ("`false`", False),
        ("`0`", 0),
        ("''", ""),
        ("`[]`", []),
        ('sort_by(`[{"n": 2}, {"n": 1}]`, &n)[0].n', 1),
    ],
)
def test_what_an_expression_finds_is_the_body(expression: str, found: Any) -> None:
    assert json.loads(mapped(expression, EVENT)) == found


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "not empty"),
        ("task.[", "breaks off at"),
        ("task..title", "breaks off at"),
        ("'", "breaks off at"),
        ("upper(task.title)", "no function upper()"),
        ("task.labels[?nope(@)]", "no function nope()"),
        ("|".join(["@"] * 200), "100 deep"),
        ("(" * 2_000, "no JMESPath"),
        ("a" * 4_097, "4096 characters"),
    ],
)
def test_what_is_no_expression_is_refused_before_any_event(expression: str, says: str) -> None:
    with pytest.raises(BadMapping, match=says.replace("(", r"\(").replace(")", r"\)")):
        compiled(expression)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("task.nothing", "null"),
        ("`null`", "null"),
        ("`NaN`", "JSON does not have"),
        ("[`1e999`]", "JSON does not have"),
        ("&task", "not JSON"),
        ("[&task]", "not JSON"),
        ('`"\\ud800"`', "not JSON"),
        ("abs(task.title)", "abs.. got string where it wants number"),
        ("length(task, task)", "too few or too many"),
        ("task.labels[::0]", "can't be worked out"),
        ("task.description", "262144 are allowed"),
    ],
)
def test_what_gives_nothing_to_send_says_why(expression: str, says: str) -> None:
    event = {**EVENT, "task": {**SAMPLE_TASK, "description": "d" * rooms.RESULT_BYTES}}
    with pytest.raises(MappingFailed, match=says):
        mapped(expression, event)


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["[@,@]"] * 90),
        "[@,@]" + "|[@,@][]" * 60,
        "to_string([@,@]" + "|[@,@]" * 60 + ")",
        "([@,@]" + "|[@,@]" * 60 + ") == ([@,@]" + "|[@,@]" * 60 + ")",
        "join(task.description, map(&to_string(@), task.metadata))",
        "join('', [task.description, task.description])" + "|join('', [@,@])" * 60,
        "task.metadata[*].[@,@,@,@,@,@,@,@]",
        "max_by(map(&[@,@,@,@,@,@,@,@], task.metadata), &length(@))",
        "merge(" + ",".join(["{a: task}"] * 100) + ", {a: task.metadata})",
    ],
)
def test_no_expression_costs_more_than_its_budget(
    expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps, so that a slow machine proves the same."""
    steps = [0]

    class Counting(rooms._Bounded):
        def _pay(self, price: int) -> None:
            steps[0] += price
            super()._pay(price)

    monkeypatch.setattr(rooms, "_Bounded", Counting)
    with pytest.raises(MappingError):
        mapped(expression, LARGE)
    assert steps[0] <= rooms.BUDGET + len(LARGE["task"]["description"])


def test_the_largest_event_can_be_copied() -> None:
    assert len(mapped("{a: task.{d: description, m: metadata}}", LARGE)) > 36_000


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="@.[]{}()*&|!?:,'`\"\\ abtask0123=<>-\ud800\x00", max_size=60))
def test_whatever_is_written_ends_in_json_or_a_sentence(expression: str) -> None:
    with contextlib.suppress(MappingError):
        orjson.loads(mapped(expression, EVENT))


def test_an_evaluation_leaves_the_event_as_it_was() -> None:
    before = json.dumps(EVENT)
    evaluate("sort(task.labels)", EVENT)
    evaluate("merge(task, {title: 'x'})", EVENT)
    assert json.dumps(EVENT) == before


def test_the_samples_have_the_shape_of_events() -> None:
    assert list(SAMPLE_TASK) == TASK_FIELDS
    for kind in SUBSCRIBABLE:
        assert sample_event(kind)["type"] == kind
    assert "changes" in sample_event("task_updated")
