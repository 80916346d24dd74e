"""Lists: every filter of the contract, pages that stay stable, cursors nobody can make up."""

from typing import Any

import pytest

from tasks_app.api import pagination
from tasks_app.models import Task, TaskSync, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller

pytestmark = pytest.mark.django_db


def make(api: Caller, title: str, **fields: Any) -> str:
    answer = api.post("tasks/", {"title": title, **fields})
    assert answer.status == 201
    return str(answer.body["id"])


def titles(api: Caller, query: str) -> list[str]:
    answer = api.get(f"tasks/?{query}")
    assert answer.status == 200, answer.raw
    return [task["title"] for task in answer.body["results"]]


def walk(api: Caller, path: str, step: str = "next") -> list[str]:
    seen: list[str] = []
    address = path
    while address:
        body = api.get(address).body
        found = [task["title"] for task in body["results"]]
        seen = seen + found if step == "next" else found + seen
        address = body[step]
    return seen


@pytest.fixture
def five(api: Caller) -> Caller:
    make(api, "A fix", status="open", priority="low", assignee="ann", labels=["x"])
    make(api, "B fox", status="done", priority="urgent", assignee="bob", labels=["x", "y"])
    make(api, "C", status="in_progress", priority="high", external_id="EXT-1")
    make(api, "D 100%", status="cancelled", description="a Fox_here", due_at="2026-02-01T00:00:00Z")
    make(api, "E", assignee="ann", labels=["z"], due_at="2026-01-01T00:00:00Z")
    return api


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "EDCBA"),
        ("status=open", "EA"),
        ("status=open&status=done", "EBA"),
        ("priority=low&priority=high", "CA"),
        ("assignee=ann", "EA"),
        ("assignee=", "DC"),
        ("assignee=ann&assignee=bob", "EBA"),
        ("assignee=ann&status=open&label=z", "E"),
        ("label=x", "BA"),
        ("label=y&label=z", "EB"),
        ("label=nope", ""),
        ("external_id=EXT-1", "C"),
        ("sync=none", "EDCBA"),
        ("sync=failed&sync=synced", ""),
        ("due_before=2026-01-15T00:00:00Z", "E"),
        ("due_before=2026-01-15T00:00:00%2B00:00", "E"),
        ("due_before=2026-01-15T00:00:00+00:00", "E"),
        ("created_after=2020-01-01T00:00:00Z", "EDCBA"),
        ("created_before=2020-01-01T00:00:00Z", ""),
        ("updated_after=2999-01-01T00:00:00Z", ""),
        ("updated_before=2999-01-01T00:00:00Z", "EDCBA"),
        ("search=fox", "DB"),
        ("search=FOX+b", "B"),
        ("search=ext-1", "C"),
        ("search=100%25", "D"),
        ("search=%25", "D"),
        ("search=_", "D"),
        ("search=fix&search=fox", "DBA"),
        ("search=", "EDCBA"),
        ("search=%20&search=fox", "EDCBA"),
        ("ordering=number", "ABCDE"),
        ("ordering=-number", "EDCBA"),
        ("ordering=title", "ABCDE"),
        ("ordering=-title", "EDCBA"),
        ("ordering=created_at", "ABCDE"),
        ("ordering=due_at&status=cancelled&status=open", "EDA"),
        ("ordering=priority&limit=1", "A"),
        ("ordering=-priority&limit=2", "BC"),
        ("workspace=ignored-with-a-key", "EDCBA"),
    ],
)
def test_filters_and_orderings(five: Caller, query: str, expected: str) -> None:
    assert "".join(title[0] for title in titles(five, query)) == expected


def test_a_search_by_number_finds_the_task(five: Caller) -> None:
    assert titles(five, "search=%233") == ["C"]


def test_sync_filters_by_what_the_log_last_told(five: Caller) -> None:
    TaskSync.objects.filter(task_id=Task.objects.get(title="C").pk).update(state="failed")
    assert titles(five, "sync=failed") == ["C"]
    assert titles(five, "sync=failed&status=open") == []


ORDERINGS = ["created_at", "updated_at", "number", "title", "due_at", "priority"]


@pytest.mark.parametrize("ordering", [sign + name for name in ORDERINGS for sign in ("", "-")])
def test_pages_tile_the_list_forwards_and_backwards(five: Caller, ordering: str) -> None:
    whole = titles(five, f"ordering={ordering}")
    assert sorted(whole) == sorted(titles(five, ""))
    assert walk(five, f"tasks/?ordering={ordering}&limit=2") == whole
    last, address = "", f"tasks/?ordering={ordering}&limit=2"
    while address:
        last, address = address, five.get(address).body["next"]
    assert walk(five, last, "previous") == whole


def test_rows_with_equal_keys_are_neither_skipped_nor_doubled(api: Caller) -> None:
    made = {make(api, "same", priority="high") for _ in range(7)}
    seen, address = [], "tasks/?ordering=priority&limit=3"
    while address:
        body = api.get(address).body
        seen += [task["id"] for task in body["results"]]
        address = body["next"]
    assert len(seen) == 7
    assert set(seen) == made


def test_pages_stay_stable_while_rows_come_and_go(api: Caller) -> None:
    ids = {title: make(api, title) for title in "abcdef"}
    first = api.get("tasks/?limit=3").body
    assert [t["title"] for t in first["results"]] == ["f", "e", "d"]
    make(api, "new")
    api.delete(f"tasks/{ids['d']}/")  # the very row that the cursor names
    api.delete(f"tasks/{ids['b']}/")
    second = api.get(first["next"]).body
    assert [t["title"] for t in second["results"]] == ["c", "a"]
    assert second["next"] is None
    back = api.get(second["previous"]).body
    assert [t["title"] for t in back["results"]] == ["new", "f", "e"]


def test_the_first_page_has_no_previous_and_the_last_no_next(api: Caller) -> None:
    for title in "abc":
        make(api, title)
    first = api.get("tasks/?limit=2").body
    last = api.get(first["next"]).body
    assert (first["previous"], last["next"]) == (None, None)
    assert api.get(last["previous"]).body["results"] == first["results"]
    assert api.get("tasks/?limit=3").body["next"] is None


def test_a_page_keeps_the_filters_of_the_first(five: Caller) -> None:
    assert walk(five, "tasks/?status=open&status=done&limit=1") == ["E", "B fox", "A fix"]


def test_a_cursor_fits_only_the_list_and_ordering_it_came_from(five: Caller) -> None:
    cursor = five.get("tasks/?limit=1").body["next"].partition("cursor=")[2].partition("&")[0]
    assert five.get(f"tasks/?cursor={cursor}").status == 200
    for path in (
        f"tasks/?cursor={cursor}&ordering=number",
        f"events/?cursor={cursor}",
        f"tasks/?cursor={cursor[:-1]}{'a' if cursor[-1] != 'a' else 'b'}",
        f"tasks/?cursor=x{cursor}",
    ):
        assert five.get(path).pointers == [("?cursor", "invalid")]


def test_a_cursor_of_another_workspace_opens_nothing(five: Caller) -> None:
    charlie = caller(factories.workspace())
    assert charlie.get(five.get("tasks/?limit=1").body["next"]).body["results"] == []


@pytest.mark.parametrize("rows", [2, 12])
def test_a_list_takes_as_many_statements_for_many_rows_as_for_few(
    api: Caller, workspace: Workspace, rows: int, django_assert_num_queries: Any
) -> None:
    for n in range(rows):
        url = {"url": "http://127.0.0.1:9/"}
        assert api.post("destinations/", {"name": f"d{n}", **url}).status == 201
        make(api, f"t{n}")
    # The key, the head, the page; events also from where they are kept, destinations their backlog
    # and circuits, deliveries their twins. Outside of a test's own transaction there are BEGIN,
    # SET TRANSACTION and COMMIT too.
    for path, statements in (
        ("tasks/", 3),
        ("events/", 4),
        ("deliveries/", 4),
        ("destinations/", 5),
    ):
        with django_assert_num_queries(statements):
            assert len(api.get(path).body["results"]) >= rows


def test_creating_a_task_takes_the_key_and_two_statements(
    api: Caller, django_assert_num_queries: Any
) -> None:
    api.get("tasks/")  # marks the key as used, once a minute
    with django_assert_num_queries(5):  # the key; savepoint, task, event and deliveries, release
        make(api, "one")


@pytest.mark.parametrize("path", ["tasks/?limit=5", "tasks/?limit=5&ordering=title"])
@pytest.mark.parametrize("room", [1, 900, 100_000])
def test_a_page_that_would_be_too_large_ends_early_and_the_next_goes_on(
    five: Caller, monkeypatch: pytest.MonkeyPatch, path: str, room: int
) -> None:
    whole = [task["title"] for task in five.get(path).body["results"]]
    monkeypatch.setattr(pagination, "PAGE_BYTES", room)
    first = five.get(path).body
    assert len(first["results"]) == {1: 1, 900: 2, 100_000: 5}[room]
    assert walk(five, path) == whole
    last = five.get(path).body
    while last["next"]:
        last = five.get(last["next"]).body
    if last["previous"]:
        backwards = walk(five, last["previous"], "previous")
        assert [*backwards, *(task["title"] for task in last["results"])] == whole


def test_the_pages_of_the_log_end_early_too(five: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "PAGE_BYTES", 1_500)
    seqs: list[int] = []
    address = "events/?limit=500"
    while address:
        body = five.get(address).body
        assert 0 < len(body["results"]) < 5
        seqs += [event["seq"] for event in body["results"]]
        address = body["next"]
    assert seqs == [1, 2, 3, 4, 5]
