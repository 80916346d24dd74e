"""`POST tasks/bulk/`: many changes in one transaction, in order, all of them or none."""

import json
from typing import Any

import pytest
from django.db import connection

from tasks_app.actions import bulk as actions
from tasks_app.models import Delivery, Event, Task, TaskSync, Workspace
from tests.support import factories
from tests.support.callers import Answer, Caller, caller
from tests.support.matrix import locked

pytestmark = pytest.mark.django_db
Op = dict[str, Any]


def bulk(api: Caller, *operations: Op, **headers: str) -> Answer:
    return api.post("tasks/bulk/", {"operations": list(operations)}, **headers)


def new(title: str, **fields: Any) -> Op:
    return {"op": "create", "title": title, **fields}


def test_every_operation_has_its_result_its_event_and_its_deliveries(
    api: Caller, workspace: Workspace
) -> None:
    factories.destination(workspace)
    old = api.post("tasks/", {"title": "old", "external_id": "X"}).body
    gone = api.post("tasks/", {"title": "gone"}).body
    answer = bulk(
        api,
        new("a", labels=["l"], metadata={"n": 1.5}, due_at="2026-12-01T10:00:00+02:00"),
        {"op": "update", "external_id": "X", "title": "new"},
        {"op": "delete", "id": gone["id"], "if_version": 1},
        {"op": "update", "id": old["id"], "status": "done", "if_version": 2},
    )
    assert answer.status == 200, answer.raw
    results = answer.body["results"]
    assert [(r["op"], r["status"], r["task"]["version"]) for r in results] == [
        ("create", 201, 1),
        ("update", 200, 2),
        ("delete", 204, 2),
        ("update", 200, 3),
    ]
    created, *_, changed = (result["task"] for result in results)
    for task in (created, changed):
        assert api.get(f"tasks/{task['id']}/").body == task
    assert api.get(f"tasks/{gone['id']}/").status == 404
    events = api.get("events/?after=2").body["results"]
    assert [(e["type"], e["task"]["version"]) for e in events] == [
        ("task_created", 1),
        ("task_updated", 2),
        ("task_deleted", 2),
        ("task_updated", 3),
    ]
    assert [event["task"] for event in events] == [result["task"] for result in results]
    assert events[1]["changes"] == {"title": ["old", "new"]}
    rows = Delivery.objects.in_workspace(workspace.pk).order_by("sequence")
    assert list(rows.values_list("event_seq", flat=True)) == [1, 2, 3, 4, 5, 6]
    assert [row.state for row in rows] == ["pending"] * 3 + ["waiting"] * 3


def test_operations_build_upon_those_before_them(api: Caller, workspace: Workspace) -> None:
    answer = bulk(
        api,
        new("a", external_id="A"),
        {"op": "update", "external_id": "A", "title": "b", "if_version": 1},
        {"op": "delete", "external_id": "A", "if_version": 2},
        new("c", external_id="A"),
        {"op": "update", "external_id": "A", "title": "c"},
    )
    tasks = [result["task"] for result in answer.body["results"]]
    assert [task["title"] for task in tasks] == ["a", "b", "b", "c", "c"]
    assert [task["number"] for task in tasks] == [1, 1, 1, 2, 2]
    assert [task["version"] for task in tasks] == [1, 2, 3, 1, 1]
    (left,) = api.get("tasks/").body["results"]
    assert left == tasks[3] == tasks[4]
    events = factories.log(workspace)
    assert [event.data["task"]["number"] for event in events] == [1, 1, 1, 2]
    assert TaskSync.objects.count() == 1


def test_external_ids_may_change_hands_in_any_direction(api: Caller) -> None:
    ids = {n: api.post("tasks/", {"title": n, "external_id": n}).body["id"] for n in "ABC"}
    answer = bulk(
        api,
        {"op": "update", "id": ids["C"], "external_id": None},
        {"op": "update", "id": ids["B"], "external_id": "C"},
        {"op": "update", "id": ids["A"], "external_id": "B"},
        new("new", external_id="A"),
        {"op": "update", "external_id": "C", "title": "was B"},
    )
    assert answer.status == 200, answer.raw
    names = dict(Task.objects.values_list("title", "external_id"))
    assert names == {"A": "B", "was B": "C", "C": None, "new": "A"}


def test_what_is_created_and_deleted_at_once_leaves_only_its_log(
    api: Caller, workspace: Workspace
) -> None:
    factories.destination(workspace)
    assert bulk(api, new("a", external_id="A"), {"op": "delete", "external_id": "A"}).status == 200
    assert not Task.objects.exists()
    assert not TaskSync.objects.exists()
    assert [event.type for event in factories.log(workspace)] == ["task_created", "task_deleted"]
    assert api.post("tasks/", {"title": "b"}).body["number"] == 2


def test_a_change_that_changes_nothing_is_not_an_event(api: Caller, workspace: Workspace) -> None:
    task = api.post("tasks/", {"title": "a"}).body
    answer = bulk(api, {"op": "update", "id": task["id"], "title": "a"})
    assert answer.body["results"][0]["task"] == task
    assert len(factories.log(workspace)) == 1
    whole = {**task, "op": "update"}
    assert bulk(api, whole).body["results"][0]["task"] == task


@pytest.mark.parametrize(
    ("operation", "pointer", "code"),
    [
        (new(""), "/title", "blank"),
        ({"op": "create"}, "/title", "required"),
        (new("a", colour="red"), "/colour", "unknown_field"),
        (new("a", version=1), "/version", "read_only"),
        (new("a", labels=["x", 1]), "/labels/1", "invalid"),
        (new("a", external_id="taken"), "/external_id", "unique"),
        ({"op": "upsert", "title": "a"}, "/op", "invalid_choice"),
        ({"op": ["create"]}, "/op", "invalid_choice"),
        ({"title": "a"}, "/op", "invalid_choice"),
        (["create"], "", "not_an_object"),
        ({"op": "update", "title": "a"}, "/id", "required"),
        ({"op": "delete"}, "/id", "required"),
        ({"op": "delete", "external_id": "taken", "title": "a"}, "/title", "unknown_field"),
        ({"op": "delete", "external_id": "nobody"}, "/external_id", "not_found"),
        ({"op": "update", "id": "nobody"}, "/id", "invalid"),
        ({"op": "update", "external_id": None, "title": "a"}, "/id", "required"),
        ({"op": "update", "external_id": "taken", "if_version": "1"}, "/if_version", "invalid"),
        ({"op": "update", "external_id": "taken", "number": 9}, "/number", "read_only"),
        (
            {"op": "update", "id": "01a1fc7d-6a30-7981-8d04-ef5899ce3665", "title": "a"},
            "/id",
            "not_found",
        ),
    ],
)
def test_an_error_names_its_operation_and_nothing_is_written(
    api: Caller, workspace: Workspace, operation: Any, pointer: str, code: str
) -> None:
    api.post("tasks/", {"title": "t", "external_id": "taken"})
    answer = bulk(api, new("fine"), operation, new("fine, too"))
    assert (answer.status, answer.pointers) == (400, [(f"/operations/1{pointer}", code)])
    assert Task.objects.count() == len(factories.log(workspace)) == 1


def test_all_errors_are_told_at_once(api: Caller) -> None:
    answer = bulk(api, new(""), new("fine"), new("a", status="?"), new("a", labels=[""]))
    assert answer.pointers == [
        ("/operations/0/title", "blank"),
        ("/operations/2/status", "invalid_choice"),
        ("/operations/3/labels/0", "blank"),
    ]


def test_a_stale_version_refuses_all_with_412(api: Caller, workspace: Workspace) -> None:
    task = api.post("tasks/", {"title": "a"}).body
    stale = {"op": "update", "id": task["id"], "title": "b", "if_version": 2}
    answer = bulk(api, new("fine"), stale, {**stale, "op": "delete"} | {"title": "b"})
    assert answer.status == 400  # a deletion has no title
    answer = bulk(api, new("fine"), stale)
    assert (answer.status, answer.pointers) == (
        412,
        [("/operations/1/if_version", "stale_version")],
    )
    assert len(factories.log(workspace)) == 1


def test_a_task_of_another_workspace_is_not_there(api: Caller) -> None:
    theirs = caller(factories.workspace()).post("tasks/", {"title": "t", "external_id": "E"}).body
    for operation in (
        {"op": "update", "id": theirs["id"], "title": "mine"},
        {"op": "delete", "id": theirs["id"]},
        {"op": "delete", "external_id": "E"},
    ):
        answer = bulk(api, operation)
        assert (answer.status, [code for _, code in answer.pointers]) == (400, ["not_found"])
    assert Task.objects.get().title == "t"


@pytest.mark.parametrize("body", [{}, {"operations": []}, {"operations": {}}, [], None])
def test_there_is_something_to_do(api: Caller, body: Any) -> None:
    assert api.post("tasks/bulk/", body).status == 400


def test_a_thousand_are_taken_and_one_more_is_not(api: Caller, workspace: Workspace) -> None:
    for _ in range(2):
        factories.destination(workspace)
    many = [new(f"t{n}", external_id=f"E{n}") for n in range(1000)]
    too_many = bulk(api, *many, new("one more"))
    assert (too_many.status, too_many.pointers) == (400, [("/operations", "max_length")])
    results = bulk(api, *many).body["results"]
    assert [result["task"]["number"] for result in results] == list(range(1, 1001))
    assert Event.objects.in_workspace(workspace.pk).count() == 1000
    assert Delivery.objects.in_workspace(workspace.pk).count() == 2000
    changed = bulk(
        api, *({"op": "update", "external_id": f"E{n}", "title": "x"} for n in range(1000))
    )
    assert {result["task"]["version"] for result in changed.body["results"]} == {2}
    gone = bulk(api, *({"op": "delete", "external_id": f"E{n}"} for n in range(1000)))
    assert gone.status == 200
    assert not Task.objects.exists()
    assert Event.objects.in_workspace(workspace.pk).count() == 3000


LARGE = {"description": "\U0001f600" * 20_000}  # 80 KB of UTF-8


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "update", "external_id": "L"},  # changes nothing, and is answered
        {"op": "update", "external_id": "L", "status": "done"},
        {"op": "update", "description": ""},  # only its event tells what was there
        {"op": "delete"},
    ],
    ids=["nothing", "status", "emptied", "deleted"],
)
def test_short_operations_on_long_tasks_come_to_8_mib_at_most(
    api: Caller, workspace: Workspace, operation: Op
) -> None:
    assert api.post("tasks/", {"title": "t", "external_id": "L", **LARGE}).status == 201
    others = {n: f"L{n}" for n in range(2, 110)}
    Task.objects.bulk_create(
        Task(workspace=workspace, number=n, title="t", external_id=name, **LARGE)
        for n, name in others.items()
    )
    names = [operation.get("external_id", name) for name in others.values()]
    answer = bulk(api, *({**operation, "external_id": name} for name in names))
    assert (answer.status, answer.body["type"]) == (413, "/problems/too_large")
    assert len(factories.log(workspace)) == 1
    assert bulk(api, *({**operation, "external_id": name} for name in names[:100])).status == 200


def test_a_bulk_that_waits_for_another_is_soon_told_so(
    api: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "PATIENCE", 1)
    with locked(lambda: actions._alone(workspace.pk)):
        answer = bulk(api, new("a"))
        assert (answer.status, answer.body["type"]) == (429, "/problems/too_many_bulks")
        assert answer.headers["Retry-After"] == "1"
        assert api.post("tasks/", {"title": "alone"}).status == 201
    with connection.cursor() as cursor:
        assert bulk(api, new("a")).status == 200
        cursor.execute("SHOW lock_timeout")  # in the test's transaction, after the bulk's own
        assert cursor.fetchone() == ("5s",)


def test_a_viewer_may_not(workspace: Workspace) -> None:
    assert bulk(caller(workspace, role="viewer"), new("a")).status == 403


def test_a_repeat_with_its_key_is_answered_and_not_done_again(api: Caller) -> None:
    first = bulk(api, new("a"), new("b"), Idempotency_Key="k")
    again = bulk(api, new("a"), new("b"), Idempotency_Key="k")
    assert first.raw == again.raw
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Task.objects.count() == 2
    assert json.loads(first.raw)["results"]
