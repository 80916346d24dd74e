"""A task that the API refuses is refused in the admin; one that it takes is taken as it is.

The layers keep the two from sharing their fields; so the same input is put to both.
"""

import json
from typing import Any

import pytest

from tasks_app.admin.destination_form import DestinationForm
from tasks_app.admin.task_form import TaskForm
from tasks_app.api.destination_fields import DestinationSerializer
from tasks_app.api.task import TaskSerializer

pytestmark = pytest.mark.django_db

DEEP: Any = {}
for _ in range(9):
    DEEP = {"a": DEEP}

TASKS: list[dict[str, Any]] = [
    {"title": "t" * 200},
    {"title": "t" * 201},
    {"title": "   "},
    {"title": " t "},
    {"title": "tab\there"},
    {"title": "bell\x07"},
    {"description": "d" * 20_000},
    {"description": "d" * 20_001},
    {"description": "one\n\ttwo"},
    {"description": "bell\x07"},
    {"external_id": "tab\there"},
    {"external_id": "\x7f"},
    {"external_id": "  "},
    {"assignee": "  "},
    {"assignee": "a" * 150},
    {"assignee": "a" * 151},
    {"assignee": "a\x1b[2J"},
    {"external_id": "e" * 200},
    {"external_id": "e" * 201},
    {"labels": [f"label {n}" for n in range(50)]},
    {"labels": [f"label {n}" for n in range(51)]},
    {"labels": ["l" * 50]},
    {"labels": ["l" * 51]},
    {"labels": ["twice", "twice"]},
    {"labels": ["a\x00b"]},
    {"status": "done"},
    {"status": "nearly"},
    {"priority": "urgent"},
    {"priority": "most"},
    {"metadata": {"n": 2**63 - 1, "x": [None, True, 1.5, "ü"]}},
    {"metadata": {"text": "m" * 17_000}},
    {"metadata": DEEP},
    {"metadata": {"a": DEEP}},
]


@pytest.mark.parametrize("given", TASKS, ids=lambda given: str(given)[:40])
def test_of_tasks(given: dict[str, Any]) -> None:
    fields = {"title": "t", **given}
    api = TaskSerializer(data=fields)
    shown = {name: _typed(value) for name, value in fields.items()}
    form = TaskForm({"status": "open", "priority": "normal", **shown})
    form.fields.pop("workspace")
    assert (not form.errors) == api.is_valid(), (form.errors, api.errors)
    if api.is_valid():
        for name, value in fields.items():
            assert form.cleaned_data[name] == value == api.validated_data[name]


DESTINATIONS: list[dict[str, Any]] = [
    {"name": "n" * 100},
    {"name": "n" * 101},
    {"name": "two\nlines"},
    {"url": "http://127.0.0.1:9/"},
    {"url": "http://10.0.0.1/"},
    {"url": "http://user:password@example.org/"},
    {"url": "ftp://example.org/"},
    {"url": "http://example.org/" + "u" * 2048},
    {"timeout": 60},
    {"timeout": 61},
    {"timeout": 0},
    {"max_concurrency": 100},
    {"max_concurrency": 101},
    {"events": ["task_created", "task_deleted"]},
    {"events": []},
    {"events": ["task_synced"]},
    {"retry_schedule": []},
    {"retry_schedule": [1] * 30},
    {"retry_schedule": [1] * 31},
    {"retry_schedule": [0]},
    {"retry_schedule": [345_601]},
    {"mapping": "task.title"},
    {"mapping": "task..title"},
    {"mapping": "{a: task.title,\n\tb: seq}"},
    {"mode": "latest"},
    {"mode": "newest"},
]


@pytest.mark.parametrize("given", DESTINATIONS, ids=lambda given: str(given)[:40])
def test_of_destinations(given: dict[str, Any]) -> None:
    fields = {"name": "CRM", "url": "http://127.0.0.1:9/", **given}
    api = DestinationSerializer(data=fields)
    usual = {"kind": "webhook", "events": ["*"], "mode": "every"}
    shown = {"max_concurrency": 10, "timeout": 15, **usual, **fields}
    if "retry_schedule" in shown:
        shown["retry_schedule"] = ", ".join(map(str, shown["retry_schedule"]))
    form = DestinationForm(shown)
    form.fields.pop("workspace")
    assert (not form.errors) == api.is_valid(), (form.errors, api.errors)


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return "\n".join(value)
    return json.dumps(value) if isinstance(value, dict) else value
