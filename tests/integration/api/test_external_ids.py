"""`PUT tasks/by-external-id/{external_id}/`: one task an id, whoever comes first."""

from functools import partial
from urllib.parse import quote

import pytest
from django.db import transaction

from tasks_app.actions.external_id import put_task
from tasks_app.models import Task, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller
from tests.support.factories import cause
from tests.support.threads import DEADLINE, backend_pid, in_thread, until, until_blocked

pytestmark = pytest.mark.django_db


def at(external_id: str) -> str:
    return f"tasks/by-external-id/{quote(external_id, safe='')}/"


def test_put_creates_and_then_replaces(api: Caller, workspace: Workspace) -> None:
    made = api.put(at("E-1"), {"title": "One", "labels": ["a"]})
    assert (made.status, made.headers["ETag"], made.body["external_id"]) == (201, '"1"', "E-1")
    assert api.get(made.headers["Location"]).body == made.body
    changed = api.put(at("E-1"), {"title": "Two", "external_id": "E-1"})
    assert (changed.status, changed.headers["ETag"], changed.body["labels"]) == (200, '"2"', [])
    assert changed.body["id"] == made.body["id"]
    assert api.put(at("E-1"), changed.body).body == changed.body  # sent back whole: no change
    assert [event.type for event in factories.log(workspace)] == ["task_created", "task_updated"]


def test_it_is_read_and_deleted_by_its_external_id(api: Caller) -> None:
    made = api.put(at("E-1"), {"title": "One"})
    read = api.get(at("E-1"))
    assert (read.body, read.headers["ETag"]) == (made.body, '"1"')
    assert read.headers["Stream-Cursor"].endswith(".1")
    assert api.delete(at("E-1"), If_Match='"2"').status == 412
    assert api.delete(at("E-1"), If_Match='"1"').status == 204
    assert api.delete(at("E-1")).status == api.get(at("E-1")).status == 404


@pytest.mark.parametrize(
    "external_id",
    [
        *("a/b", "/", "a/", "//x//", "tasks/1/events/", "ü/🚀", "100%", "%2F", "a b", "?x=1#y"),
        *("line\nbreak", "e" * 200, ".", "a/../b", "by-external-id"),
    ],
)
def test_any_text_can_be_an_external_id(api: Caller, external_id: str) -> None:
    made = api.put(at(external_id), {"title": "t"})
    assert (made.status, made.body["external_id"]) == (201, external_id)
    assert api.get(at(external_id)).body == made.body
    assert api.get("tasks/?external_id=" + quote(external_id)).body["results"] == [made.body]
    assert api.delete(at(external_id)).status == 204


@pytest.mark.parametrize("external_id", ["e" * 201, " ", "a\0b"])
def test_what_no_task_may_have_is_refused(api: Caller, external_id: str) -> None:
    answer = api.put(at(external_id), {"title": "t"})
    assert answer.status == 400
    assert [pointer for pointer, _ in answer.pointers] == ["/external_id"]
    assert api.get(at(external_id)).status == api.delete(at(external_id)).status == 404


@pytest.mark.parametrize("other", ["E-2", None, 1, ["E-1"]])
def test_a_body_that_names_another_id_is_refused(api: Caller, other: object) -> None:
    answer = api.put(at("E-1"), {"title": "t", "external_id": other})
    assert (answer.status, answer.pointers) == (400, [("/external_id", "differs")])
    assert not Task.objects.exists()


def test_a_new_task_has_nothing_to_send_back(api: Caller) -> None:
    answer = api.put(at("E-1"), {"title": "t", "version": 1})
    assert (answer.status, answer.pointers) == (400, [("/version", "read_only")])


def test_conditions_decide_whether_it_may_be_new(api: Caller) -> None:
    for if_match in ('"1"', "*"):
        assert api.put(at("E"), {"title": "t"}, If_Match=if_match).status == 412
    assert api.put(at("E"), {"title": "t"}, If_None_Match='"1"').status == 400
    assert api.put(at("E"), {"title": "t"}, If_None_Match="*").status == 201
    assert api.put(at("E"), {"title": "u"}, If_None_Match="*").status == 412
    assert api.put(at("E"), {"title": "u"}, If_Match='"2"').status == 412
    assert api.put(at("E"), {"title": "u"}, If_Match="*").status == 200
    assert api.put(at("E"), {"title": "v"}, If_Match='"2"').body["version"] == 3


def test_the_same_id_in_another_workspace_is_another_task(api: Caller) -> None:
    theirs = caller(factories.workspace())
    assert theirs.put(at("E"), {"title": "theirs"}).status == 201
    assert api.get(at("E")).status == api.delete(at("E")).status == 404
    assert api.put(at("E"), {"title": "mine"}).status == 201
    assert theirs.get(at("E")).body["title"] == "theirs"


def put(workspace: Workspace, title: str) -> bool:
    _, is_new = put_task(
        workspace_id=workspace.pk,
        external_id="E",
        fields={"title": title},
        cause=cause(),
        echoed={},
    )
    return is_new


@pytest.mark.django_db(transaction=True)
def test_of_many_that_put_one_id_at_once_one_creates_and_the_others_change(
    workspace: Workspace,
) -> None:
    with transaction.atomic():
        put(workspace, "first")
        waiting: list[int] = []

        def later(title: str) -> bool:
            waiting.append(backend_pid())
            return put(workspace, title)

        others = [in_thread(partial(later, f"later {number}")) for number in range(6)]
        until(lambda: len(waiting) == 6, "all are at it")
        for pid in waiting:
            until_blocked(pid)
    assert [other.result(DEADLINE) for other in others] == [False] * 6
    assert Task.objects.get().version == 7
    assert [event.type for event in factories.log(workspace)] == [
        "task_created",
        *["task_updated"] * 6,
    ]


@pytest.mark.django_db(transaction=True)
def test_an_id_that_is_given_up_meanwhile_is_taken(workspace: Workspace) -> None:
    """The task that was found is deleted while the request waits for its row."""
    put(workspace, "old")
    old = Task.objects.get()
    waiting: list[int] = []

    def again() -> bool:
        waiting.append(backend_pid())
        return put(workspace, "new")

    with transaction.atomic():
        old.delete()
        later = in_thread(again)
        until(lambda: bool(waiting), "it is at it")
        until_blocked(waiting[0])
    assert later.result(DEADLINE) is True
    assert Task.objects.get().title == "new"
