"""What a mirror does next, decided without a server: every state of a twin × every event."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.connectors.rest import twin_url
from tasks_app.connectors.twin import Step, Twin, creation_key, next_step, told

TASK = {"id": "t", "version": 3}


def event(kind: str, version: int = 3) -> dict[str, Any]:
    return {"type": kind, "task": {"id": "t", "version": version}}


CASES = [
    ("task_created", Twin(task=TASK), Step.CREATE),
    ("task_updated", Twin(task=TASK), Step.CREATE),
    ("task_updated", Twin(task=TASK, tries=2, first=event("task_created", 1)), Step.CREATE),
    ("task_updated", Twin(task=TASK, remote_id="7", version=2), Step.CHANGE),
    ("task_updated", Twin(task=TASK, remote_id="7", version=3), Step.NOTHING),
    ("task_updated", Twin(task=TASK, remote_id="7", version=9), Step.NOTHING),
    ("task_updated", Twin(task=None, remote_id="7", version=2), Step.NOTHING),
    ("task_created", Twin(task=None), Step.NOTHING),
    ("task_created", Twin(task=None, tries=1, first=event("task_created", 1)), Step.NOTHING),
    ("task_deleted", Twin(task=None), Step.NOTHING),
    ("task_deleted", Twin(task=None, remote_id="7"), Step.DELETE),
    ("task_deleted", Twin(task=None, tries=1, first=event("task_created", 1)), Step.CREATE),
]


@pytest.mark.parametrize(("kind", "twin", "step"), CASES)
def test_the_next_step(kind: str, twin: Twin, step: Step) -> None:
    assert next_step(event(kind), twin) is step


def test_what_is_sent_again_by_hand_is_sent() -> None:
    shown = Twin(task=TASK, remote_id="7", version=9)
    assert next_step(event("task_updated"), shown, again=True) is Step.CHANGE


def test_a_ping_looks_and_a_task_without_its_twin_is_a_mistake() -> None:
    assert next_step({"type": "ping"}, None) is Step.LOOK
    with pytest.raises(ValueError, match="twin"):
        next_step(event("task_updated"), None)


def test_while_in_doubt_every_other_try_repeats_the_first() -> None:
    first = event("task_created", 1)
    versions = [
        told(event("task_updated"), Twin(task=TASK, first=first, tries=tries))["task"]["version"]
        for tries in range(5)
    ]
    assert versions == [3, 1, 3, 1, 3]
    gone = Twin(task=None, first=first, tries=2)
    assert told(event("task_deleted"), gone) == first


def test_keys_differ_by_destination_task_and_generation_and_by_nothing_else() -> None:
    made = [
        creation_key(destination=d, task=t, generation=g)
        for d, t, g in itertools.product("ab", "cd", (0, 1))
    ]
    assert len(set(made)) == 8
    assert made[0] == creation_key(destination="a", task="c", generation=0)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("https://x.org/tasks", "https://x.org/tasks/7"),
        ("https://x.org/tasks/", "https://x.org/tasks/7/"),
        ("https://x.org/tasks?a=1&b=/", "https://x.org/tasks/7?a=1&b=/"),
        ("https://x.org", "https://x.org/7"),
        ("https://x.org/", "https://x.org/7/"),
    ],
)
def test_a_twin_lies_below_its_resource(url: str, whole: str) -> None:
    assert twin_url(url, "7") == whole


@given(st.text(min_size=1, max_size=50).filter(lambda name: name.isprintable()))
def test_no_id_leads_out_of_its_resource(name: str) -> None:
    path = twin_url("https://x.org/tasks", name).removeprefix("https://x.org/tasks/")
    assert not set(path) & set("/?#\\ \r\n@:")
