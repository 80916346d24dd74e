"""Tasks over HTTP: created, read, changed and deleted, with versions that guard them."""

import uuid
from typing import Any

import pytest

from tasks_app.models import Delivery, Task, Workspace
from tests.support import factories
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db

FIELDS = [
    *("id", "number", "external_id", "title", "description", "status", "priority", "assignee"),
    *("due_at", "labels", "metadata", "version", "sync", "created_by", "created_at", "updated_at"),
]


def made(api: Caller, **fields: Any) -> Any:
    answer = api.post("tasks/", {"title": "One", **fields})
    assert answer.status == 201, answer.raw
    return answer.body


def test_a_created_task_has_every_field_of_the_contract_in_its_order(api: Caller) -> None:
    answer = api.post("tasks/", {"title": "One"})
    assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
    assert list(answer.body) == FIELDS
    assert answer.headers["Location"].endswith(f"/api/v1/tasks/{answer.body['id']}/")
    assert api.get(answer.headers["Location"]).body == answer.body
    assert uuid.UUID(answer.body["id"]).version == 7


def test_what_was_sent_comes_back_as_it_was(api: Caller) -> None:
    sent = {
        "external_id": "JIRA-1/ü",
        "title": " One ",
        "description": "line\nline\t🚀",
        "status": "in_progress",
        "priority": "urgent",
        "assignee": "bob",
        "due_at": "2026-12-01T10:00:00+02:00",
        "labels": ["b", "a"],
        "metadata": {"n": 9_007_199_254_740_993, "f": 1.5, "deep": [{"x": None, "y": True}]},
    }
    body = made(api, **sent)
    assert body | sent == body | {"due_at": sent["due_at"]}
    assert body["due_at"] == "2026-12-01T08:00:00.000000Z"
    assert api.get(f"tasks/{body['id']}/").body == body


@pytest.mark.parametrize("number", [9.2233720368547748e18, -9.2e18, 1e15, 1e-300, 5e-324, 0.1])
def test_a_number_that_was_accepted_can_be_shown_again(api: Caller, number: float) -> None:
    task = made(api, metadata={"n": number})
    assert api.get(f"tasks/{task['id']}/").body["metadata"]["n"] == pytest.approx(
        number, rel=1e-15, abs=0
    )
    (event,) = api.get("events/").body["results"]
    assert event["task"]["metadata"]["n"] == pytest.approx(number, rel=1e-15, abs=0)


def test_creating_a_task_queues_it_for_each_destination(api: Caller, workspace: Workspace) -> None:
    factories.destination(workspace)
    assert made(api)["sync"] == "scheduled"
    assert Delivery.objects.in_workspace(workspace.pk).count() == 1


def test_patch_changes_what_is_given_and_put_replaces_all(api: Caller) -> None:
    task = made(api, description="text", labels=["a"])
    at = f"tasks/{task['id']}/"
    patched = api.patch(at, {"title": "Two"})
    assert (patched.body["title"], patched.body["description"]) == ("Two", "text")
    assert (patched.body["version"], patched.headers["ETag"]) == (2, '"2"')
    put = api.put(at, {"title": "Three"}).body
    assert (put["title"], put["description"], put["labels"]) == ("Three", "", [])
    assert put["version"] == 3


def test_put_without_a_title_is_refused(api: Caller) -> None:
    at = f"tasks/{made(api)['id']}/"
    assert api.put(at, {"description": "x"}).pointers == [("/title", "required")]


def test_a_change_that_changes_nothing_keeps_its_version(api: Caller) -> None:
    task = made(api)
    assert api.patch(f"tasks/{task['id']}/", {"title": "One"}).body["version"] == 1
    assert api.patch(f"tasks/{task['id']}/", {}).body["version"] == 1


def test_one_and_true_are_not_the_same_in_metadata(api: Caller) -> None:
    task = made(api, metadata={"a": 1})
    changed = api.patch(f"tasks/{task['id']}/", {"metadata": {"a": True}}).body
    assert changed["metadata"]["a"] is True
    assert changed["version"] == 2


@pytest.mark.parametrize("if_match", ['"2"', 'W/"1"', '"01"', '"abc"', '"2", "3"', '"+1"'])
def test_a_stale_or_weak_if_match_changes_nothing(api: Caller, if_match: str) -> None:
    task = made(api)
    at = f"tasks/{task['id']}/"
    for answer in (
        api.patch(at, {"title": "Two"}, If_Match=if_match),
        api.put(at, {"title": "Two"}, If_Match=if_match),
        api.delete(at, If_Match=if_match),
    ):
        assert answer.status == 412
        assert answer.body["type"].endswith("stale_version")
    assert api.get(at).body == task


@pytest.mark.parametrize("if_match", ["1", '"1', "", '"1" "2"', "W/1", "*,*", '"1\x00"'])
def test_a_malformed_if_match_is_a_bad_request(api: Caller, if_match: str) -> None:
    at = f"tasks/{made(api)['id']}/"
    assert api.patch(at, {"title": "Two"}, If_Match=if_match).status == 400
    assert api.delete(at, If_Match=if_match).status == 400


@pytest.mark.parametrize("if_match", ['"1"', "*", ' "1" ', '"7", "1"', 'W/"9","1"', '"a,b" , "1"'])
def test_an_if_match_that_names_the_version_lets_it_pass(api: Caller, if_match: str) -> None:
    at = f"tasks/{made(api)['id']}/"
    assert api.patch(at, {"title": "Two"}, If_Match=if_match).status == 200


def test_outcomes_do_not_raise_the_version(api: Caller, workspace: Workspace) -> None:
    factories.destination(workspace)
    task = made(api)
    (delivery,) = Delivery.objects.in_workspace(workspace.pk)
    api.post(f"deliveries/{delivery.pk}/cancel/")
    assert api.get(f"tasks/{task['id']}/").headers["ETag"] == '"1"'


def test_a_whole_task_may_be_sent_back(api: Caller) -> None:
    task = made(api, metadata={"a": 1.0}, due_at="2026-01-01T00:00:00Z")
    answer = api.put(f"tasks/{task['id']}/", task)
    assert (answer.status, answer.body) == (200, task)


def test_a_sync_that_has_moved_meanwhile_does_not_refuse_a_task_sent_back(api: Caller) -> None:
    task = made(api)
    moved = {**task, "sync": "retrying", "title": "Two"}
    assert api.put(f"tasks/{task['id']}/", moved).body["sync"] == "none"
    wrong = api.put(f"tasks/{task['id']}/", {**moved, "version": 2, "sync": "perfect"})
    assert ("/sync", "read_only") in wrong.pointers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "01a1fc7d-6a30-7981-8d04-ef5899ce3665"),
        ("number", 99),
        ("version", 2),
        ("version", "1"),
        ("version", True),
        ("created_by", "mallory"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("updated_at", None),
    ],
)
def test_a_read_only_field_that_differs_is_refused(api: Caller, name: str, value: Any) -> None:
    task = made(api)
    answer = api.patch(f"tasks/{task['id']}/", {"title": "Two", name: value})
    assert (answer.status, answer.pointers) == (400, [(f"/{name}", "read_only")])
    assert api.get(f"tasks/{task['id']}/").body == task


def test_delete_answers_204_once(api: Caller) -> None:
    at = f"tasks/{made(api)['id']}/"
    gone = api.delete(at, If_Match='"1"')
    assert (gone.status, gone.raw) == (204, b"")
    assert api.delete(at).status == 404
    assert api.get(at).status == 404


def test_a_taken_external_id_is_refused_also_on_change(api: Caller) -> None:
    made(api, external_id="E-1")
    other = made(api)
    taken = [("/external_id", "unique")]
    assert api.post("tasks/", {"title": "x", "external_id": "E-1"}).pointers == taken
    assert api.patch(f"tasks/{other['id']}/", {"external_id": "E-1"}).pointers == taken


def test_the_event_names_who_and_in_which_request(api: Caller) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = api.post("tasks/", {"title": "x"}, X_Request_ID="req.1", traceparent=traceparent)
    assert answer.headers["X-Request-ID"] == "req.1"
    (event,) = api.get("events/").body["results"]
    assert event["request_id"] == "req.1"
    assert event["actor"]["kind"] == "api_key"
    assert event["actor"]["name"] == answer.body["created_by"]


def test_the_longest_of_everything_is_taken(api: Caller) -> None:
    body = made(
        api,
        title="t" * 200,
        description="d" * 20_000,
        external_id="e" * 200,
        labels=[f"{i:050}" for i in range(50)],
        metadata={"k": "v" * (16 * 1024 - len('{"k":""}'))},
    )
    assert Task.objects.get(pk=body["id"]).title == "t" * 200
