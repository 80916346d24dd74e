"""Schedules over HTTP: what was written is shown as it will come; strict as all the API."""

import uuid
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from tasks_app.actions import schedule as actions
from tasks_app.actions.schedule import create_schedule
from tasks_app.models import Schedule, Workspace
from tasks_app.recurring import make_scheduled
from tests.support.callers import Answer, Caller
from tests.support.factories import cause
from tests.support.schedules import SELDOM, came
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db(transaction=True)
WEEKLY = {
    "name": "Weekly report",
    "cron": "0 9 * * MON",
    "time_zone": "Europe/Berlin",
    "template": {"title": "Write the report", "labels": ["report"], "due_in": 3600},
}


def code(answer: Answer) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status, answer.body["type"].rpartition("/")[2]


def test_a_schedule_is_made_shown_and_found_again(api: Caller) -> None:
    made = api.post("schedules/", WEEKLY)
    assert made.status == 201, made.raw
    body = made.body
    assert made.headers["Location"].endswith(f"/api/v1/schedules/{body['id']}/")
    assert made.headers["ETag"] == '"1"'
    assert body["template"] == {
        "title": "Write the report",
        "description": "",
        "priority": "normal",
        "assignee": "",
        "labels": ["report"],
        "metadata": {},
        "due_in": 3600,
    }
    assert (body["state"], body["catch_up"], body["version"]) == ("active", "last", 1)
    runs = [datetime.fromisoformat(text) for text in body["next_runs"]]
    assert len(runs) == 5
    assert {(run.isoweekday(), run.hour, run.minute) for run in runs} == {(1, 9, 0)}
    assert runs[0] == datetime.fromisoformat(body["next_at"])
    shown = api.get(f"schedules/{body['id']}/")
    assert shown.headers["Stream-Cursor"]
    assert (shown.body, shown.headers["ETag"]) == (body, '"1"')
    (listed,) = api.get("schedules/?state=active&name=Weekly report").body["results"]
    assert listed == {name: value for name, value in body.items() if name != "next_runs"}
    assert api.get("schedules/?state=paused").body["results"] == []
    (event,) = api.get("events/").body["results"]
    assert (event["type"], event["schedule"]["name"]) == ("schedule_created", "Weekly report")


def test_a_workspace_has_so_many_schedules_and_not_one_more(
    api: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "SCHEDULES_MAX", 2)
    (one, two, three) = ({**WEEKLY, "name": name} for name in ("one", "two", "three"))
    first = api.post("schedules/", one)
    with transaction.atomic():  # another has the last place, and has not said so yet
        create_schedule(
            workspace_id=workspace.pk,
            fields={**WEEKLY, "name": "two"},
            cause=cause(),
        )
        pids: list[int] = []

        def ask() -> Answer:
            pids.append(backend_pid())
            return api.post("schedules/", three)

        waiting = in_thread(ask)
        until(lambda: bool(pids), "it has a connection")
        until_blocked(pids[0])
    assert code(waiting.result(DEADLINE)) == (409, "limit_reached")
    assert code(api.post("schedules/", two)) == (400, "invalid")  # the name is taken
    assert Schedule.objects.count() == 2
    api.delete(f"schedules/{first.body['id']}/")
    assert api.post("schedules/", three).status == 201


def test_a_preview_shows_when_it_would_come_and_makes_nothing(api: Caller) -> None:
    answer = api.post("schedules/preview/", {"cron": "30 2 29 2 *", "time_zone": "Asia/Tokyo"})
    assert answer.status == 200, answer.raw
    assert all(run.endswith("-02-29T02:30:00+09:00") for run in answer.body["next_runs"])
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"cron": "61 * * * *"}, [("/cron", "invalid")]),
        ({"cron": "* * * * * *"}, [("/cron", "invalid")]),
        ({"cron": "0 0 31 2 *"}, [("/cron", "never")]),
        ({"cron": 5}, [("/cron", "invalid")]),
        ({"cron": "1," * 60}, [("/cron", "max_length")]),
        ({"time_zone": "Berlin"}, [("/time_zone", "unknown_time_zone")]),
        ({"time_zone": "../zone"}, [("/time_zone", "unknown_time_zone")]),
        (
            {"cron": "x", "time_zone": "y"},
            [("/cron", "invalid"), ("/time_zone", "unknown_time_zone")],
        ),
        ({"catch_up": "some"}, [("/catch_up", "invalid_choice")]),
        ({"template": {}}, [("/template/title", "required")]),
        ({"template": {"title": "x", "status": "done"}}, [("/template/status", "unknown_field")]),
        ({"template": {"title": "x", "due_in": -1}}, [("/template/due_in", "min_value")]),
        ({"template": {"title": "x", "labels": ["a", "a"]}}, [("/template/labels/1", "repeated")]),
        ({"template": []}, [("/template", "not_an_object")]),
        ({"state": "paused"}, [("/state", "read_only")]),
        ({"every": 5}, [("/every", "unknown_field")]),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    api: Caller, change: dict[str, Any], pointers: list[tuple[str, str]]
) -> None:
    answer = api.post("schedules/", WEEKLY | change)
    assert (answer.status, sorted(answer.pointers)) == (400, pointers)
    made = api.post("schedules/", WEEKLY).body
    if change != {"template": {}} and "state" not in change:
        answer = api.patch(f"schedules/{made['id']}/", change)
        assert (answer.status, sorted(answer.pointers)) == (400, pointers)
    if "cron" in change and "template" not in change:
        tried = {"cron": change["cron"], "time_zone": change.get("time_zone", "UTC")}
        assert sorted(api.post("schedules/preview/", tried).pointers) == pointers


def test_a_name_is_given_once(api: Caller) -> None:
    api.post("schedules/", WEEKLY)
    assert api.post("schedules/", WEEKLY).pointers == [("/name", "unique")]
    other = api.post("schedules/", WEEKLY | {"name": "Other"}).body
    renamed = api.patch(f"schedules/{other['id']}/", {"name": "Weekly report"})
    assert renamed.pointers == [("/name", "unique")]


def test_other_times_count_from_now_and_of_the_template_only_what_is_given(api: Caller) -> None:
    made = api.post("schedules/", WEEKLY).body
    at = f"schedules/{made['id']}/"
    changed = api.patch(at, {"template": {"priority": "urgent"}})
    assert changed.status == 200, changed.raw
    assert changed.body["template"] == made["template"] | {"priority": "urgent"}
    assert changed.body["next_at"] == made["next_at"]
    assert (changed.headers["ETag"], changed.body["version"]) == ('"2"', 2)
    moved = api.patch(at, {"time_zone": "America/New_York"}).body
    assert moved["next_at"] != made["next_at"]
    assert moved["next_runs"][0].endswith(("T09:00:00-05:00", "T09:00:00-04:00"))
    assert api.patch(at, {"cron": "0 9 * * MON"}).body["version"] == 3  # nothing has changed
    told = [e["changed"] for e in api.get("events/").body["results"] if "changed" in e]
    assert told == [["template"], ["time_zone"]]


def test_what_was_read_can_be_sent_back_and_what_is_read_only_can_not_be_changed(
    api: Caller,
) -> None:
    made = api.post("schedules/", WEEKLY).body
    at = f"schedules/{made['id']}/"
    assert api.patch(at, made).body == made
    assert api.patch(at, made | {"version": 7}).pointers == [("/version", "read_only")]
    assert api.patch(at, {"state": "paused"}).pointers == [("/state", "read_only")]


@pytest.mark.parametrize("call", ["PATCH", "DELETE", "pause", "resume"])
def test_a_stale_version_changes_nothing(api: Caller, call: str) -> None:
    made = api.post("schedules/", WEEKLY).body
    at = f"schedules/{made['id']}/"
    named = {"name": "Newer"}
    assert api.patch(at, named, If_Match='"1"').status == 200
    method, path = ("POST", f"{at}{call}/") if call.islower() else (call, at)
    body = {"name": "Stale"} if call == "PATCH" else None
    stale = api.call(method, path, body, headers={"If-Match": '"1"'})
    assert code(stale) == (412, "stale_version")
    assert (api.get(at).body["name"], api.get(at).body["version"]) == ("Newer", 2)
    assert api.call(method, path, body, headers={"If-Match": '"2"'}).status in {200, 204}


def test_pausing_and_resuming_are_told_once_each(api: Caller) -> None:
    made = api.post("schedules/", WEEKLY).body
    at = f"schedules/{made['id']}/"
    for _ in range(2):
        paused = api.post(f"{at}pause/").body
        assert (paused["state"], paused["next_at"], paused["next_runs"]) == ("paused", None, [])
    moved = api.patch(at, {"cron": "@daily"}).body
    assert (moved["state"], moved["next_at"]) == ("paused", None)
    for _ in range(2):
        resumed = api.post(f"{at}resume/").body
        assert (resumed["state"], len(resumed["next_runs"])) == ("active", 5)
    assert api.delete(at).status == 204
    assert api.get(at).status == api.delete(at).status == 404
    kinds = [event["type"] for event in api.get("events/").body["results"]]
    expected = ["created", "paused", "changed", "resumed", "deleted"]
    assert kinds == [f"schedule_{word}" for word in expected]


def test_what_it_made_is_listed_and_stays(api: Caller, workspace: Workspace) -> None:
    made = api.post("schedules/", WEEKLY | {"cron": SELDOM, "time_zone": "UTC"}).body
    at = came(Schedule.objects.get())
    make_scheduled()
    (task,) = api.get("tasks/").body["results"]
    (listed,) = api.get(f"schedules/{made['id']}/occurrences/").body["results"]
    assert (listed["task"], listed["error"]) == (task["id"], "")
    assert datetime.fromisoformat(listed["at"]) == at
    assert api.get(f"schedules/{made['id']}/").body["last_at"] == listed["at"]
    (first, *_) = api.get(f"tasks/{task['id']}/events/").body["results"]
    assert first["actor"] == {"kind": "schedule", "id": made["id"], "name": "Weekly report"}
    assert first["schedule"]["occurrence"] == listed["at"]
    assert api.delete(f"schedules/{made['id']}/").status == 204
    assert api.get(f"tasks/{task['id']}/").status == 200
    assert api.get(f"schedules/{uuid.uuid4()}/occurrences/").status == 404


def test_a_schedule_that_is_deleted_makes_first_what_was_due(
    api: Caller, workspace: Workspace
) -> None:
    made = api.post("schedules/", WEEKLY | {"cron": SELDOM, "time_zone": "UTC"}).body
    came(Schedule.objects.get())
    assert api.delete(f"schedules/{made['id']}/").status == 204
    assert len(api.get("tasks/").body["results"]) == 1
    make_scheduled()
    assert len(api.get("tasks/").body["results"]) == 1
