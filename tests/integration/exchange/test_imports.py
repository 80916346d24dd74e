"""Rows become tasks by the rules of the API; bad ones are named, the others go on."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models.functions import Now

from tasks_app.actions.import_job import cancel_import
from tasks_app.actions.task import create_task
from tasks_app.exceptions import ImportOver, TooManyImports
from tasks_app.exchange import step, walk
from tasks_app.exchange.step import FAULTS_KEPT, advance
from tasks_app.exchange.upload import Upload
from tasks_app.models import Delivery, Task, Workspace
from tests.support.factories import cause, destination, log
from tests.support.imports import begin, contents, imported, wrong

pytestmark = pytest.mark.django_db


def lines(*rows: Any) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def test_a_csv_file_becomes_tasks_with_events_and_deliveries(workspace: Workspace) -> None:
    there = destination(workspace)
    data = (
        "\ufeffTitle;description;labels;metadata;due_at;priority\r\n"
        'eins;"Zeile 1\nZeile 2";"[""a,b"", ""c""]";"{""n"": 1}";'
        "2026-01-31T12:00:00+01:00;urgent\r\n"
        "\r\n"
        "zwei;;ops, home ;;;\r\n"
    ).encode()
    job = imported(workspace, data)
    assert (job.state, job.total, job.done, job.failed) == ("done", 2, 2, 0)
    first, second = Task.objects.order_by("number")
    assert (first.description, first.labels, first.metadata) == (
        *("Zeile 1\nZeile 2", ["a,b", "c"]),
        {"n": 1},
    )
    assert first.due_at == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert (second.title, second.labels, second.priority) == ("zwei", ["ops", "home"], "normal")
    assert (first.number, second.number, first.created_by) == (1, 2, "alice")
    types = [event.type for event in log(workspace)]
    assert types == ["import_progress", "task_created", "task_created", "import_progress"]
    assert log(workspace)[1].data["task"]["number"] == 1
    assert log(workspace)[-1].data["import"]["done"] == 2
    assert list(Delivery.objects.filter(destination=there).values_list("rank", flat=True)) == [3, 3]


def test_rows_with_a_known_external_id_change_that_task_by_the_columns_they_have(
    workspace: Workspace,
) -> None:
    fields = {"title": "old", "external_id": "E-1", "description": "kept", "priority": "high"}
    task = create_task(workspace_id=workspace.pk, fields=fields, cause=cause())
    data = b"external_id,title,priority\nE-1,new,\nE-2,other,low\nE-1,newer,low\nE-2,same,low\n"
    job = imported(workspace, data)
    assert (job.created, job.updated, job.unchanged, job.failed) == (1, 3, 0, 0)
    task.refresh_from_db()
    assert (task.title, task.description, task.priority) == ("newer", "kept", "low")
    assert task.version == 3
    assert Task.objects.get(external_id="E-2").title == "same"
    told = [e for e in log(workspace) if e.task_id == task.pk and e.type == "task_updated"]
    assert [e.data["changes"]["title"] for e in told] == [["old", "new"], ["new", "newer"]]
    assert told[0].data["changes"]["priority"] == ["high", "normal"]
    assert told[1].data["task"]["version"] == 3
    assert imported(workspace, b"external_id,title\nE-2,same\n").unchanged == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_of_one_external_id_are_taken_in_one_step(workspace: Workspace, dry_run: bool) -> None:
    """Also those that name no title, once a row before them did."""
    create_task(workspace_id=workspace.pk, fields={"title": "0"}, cause=cause())
    rows = [{"external_id": f"E-{n // 3}", "title": str(n)} for n in range(90)]
    for row in rows[2::3]:
        row["priority"] = row.pop("title") and "low"
    job = begin(workspace, lines(*rows), dry_run=dry_run)
    assert [advance(job.pk) for _ in range(3)] == [True, True, False]  # counted, taken, ended
    job.refresh_from_db()
    assert (job.state, job.created, job.updated, job.failed) == ("done", 30, 60, 0)
    if dry_run:
        assert Task.objects.count() == 1
        return
    made = Task.objects.filter(external_id__isnull=False).order_by("number")
    shown = list(made.values_list("number", "external_id", "title", "priority", "version"))
    assert shown == [(n + 2, f"E-{n}", str(3 * n + 1), "low", 3) for n in range(30)]
    told = [event.data["task"] for event in log(workspace) if event.type == "task_updated"]
    assert [one["number"] for one in told] == [n // 2 + 2 for n in range(60)]
    assert [one["version"] for one in told] == [2, 3] * 30


def test_bad_rows_are_named_and_the_others_go_on(workspace: Workspace) -> None:
    data = (
        b"title,status,due_at,labels,metadata\n"
        b"good,,,,\n"
        b",open,,,\n"
        b"x,closed,yesterday,,\n"
        b'y,,,"[1]",\n'
        b'z,,,,"{""a"": 1, ""a"": 2}"\n'
        b"too,few\n"
        b"nul\x00,,,,\n"
        b'"x"y,,,,\n'
        b'"two\nlines",,,,\n'
        b"long,,,,[\n"
    )
    job = imported(workspace, data)
    assert (job.total, job.done, job.failed) == (10, 1, 9)
    assert wrong(job) == [
        (2, 3, "/title", "blank"),
        (3, 4, "/status", "invalid_choice"),
        (3, 4, "/due_at", "invalid"),
        (4, 5, "/labels/0", "invalid"),
        (5, 6, "/metadata/a", "repeated"),
        (6, 7, "", "wrong_number_of_cells"),
        (7, 8, "/title", "control_character"),
        (8, 9, "", "malformed_row"),
        (9, 10, "/title", "control_character"),
        (10, 12, "/metadata", "malformed_json"),
    ]
    assert [title for _, title, *_ in contents(workspace)] == ["good"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_file_with_a_quote_that_is_never_closed_is_refused_before_a_row_is_taken(
    workspace: Workspace, dry_run: bool
) -> None:
    data = b"title,description\ngood,x\n" + (b'5","' + b"y" * 400 + b"\n") * 3000
    job = imported(workspace, data, dry_run=dry_run)
    assert (job.state, job.reason, job.done) == ("failed", "unclosed_quote", 0)
    assert wrong(job) == [(2, 3, "", "unclosed_quote")]
    assert not Task.objects.exists()
    assert log(workspace)[-1].data["import"]["reason"] == "unclosed_quote"


def test_ndjson_is_read_as_strictly_as_a_body(workspace: Workspace) -> None:
    data = lines({"title": "a", "number": 7, "sync": "none"}, {"title": 1}, {"nope": 1}, [])
    data += b"{oops\n\n" + lines({"external_id": "new"}) + b'{"title": "last"}'
    job = imported(workspace, data)
    assert (job.total, job.done, job.failed) == (7, 2, 5)
    assert wrong(job) == [
        (2, 2, "/title", "invalid"),
        (3, 3, "/nope", "unknown_field"),
        (4, 4, "", "not_an_object"),
        (5, 5, "", "malformed_json"),
        (6, 7, "/title", "required"),
    ]


def test_only_the_first_thousand_errors_are_kept(workspace: Workspace) -> None:
    job = imported(workspace, b"title\n" + b"x" * 201 + b"\n" + (b"y" * 201 + b"\n") * 1100)
    assert job.failed == 1101
    assert job.faults.count() == FAULTS_KEPT
    assert not Task.objects.exists()


def test_a_dry_run_judges_and_writes_nothing(workspace: Workspace) -> None:
    create_task(workspace_id=workspace.pk, fields={"title": "t", "external_id": "E"}, cause=cause())
    job = imported(workspace, b"external_id,title\nE,new\nF,other\n,\n,x\n,", dry_run=True)
    assert (job.state, job.total, job.created, job.updated) == ("done", 3, 2, 1)
    assert [title for _, title, *_ in contents(workspace)] == ["t"]
    assert {event.type for event in log(workspace)} == {"task_created", "import_progress"}


def test_steps_resume_where_the_last_one_ended(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "STEP", 3)
    monkeypatch.setattr(step, "COUNTING_SECONDS", 0.0)
    rows = "".join(f'row {n},E-{n % 8},"a\nb"\n\n' for n in range(20))
    job = begin(workspace, f"title,external_id,description\n{rows}".encode())
    counted = 0
    while job.total is None:
        assert advance(job.pk)
        job.refresh_from_db()
        counted += 1
    assert (job.total, counted) == (20, 41)  # a record a step, blank ones too, and the end
    places = [job.row]
    while advance(job.pk):
        job.refresh_from_db()
        assert job.row == job.done
        places.append(job.row)
    assert places == sorted(places)
    assert [external for external, *_ in contents(workspace)] == [f"E-{n}" for n in range(8)]
    assert Task.objects.get(external_id="E-3").title == "row 19"
    assert sum(event.type.startswith("task_") for event in log(workspace)) == 20


def test_a_cancelled_import_takes_no_more_and_keeps_what_it_took(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "STEP", 2)
    job = begin(workspace, b"title\na\nb\nc\nd\n")
    assert [advance(job.pk), advance(job.pk)] == [True, True]
    told = cancel_import(workspace_id=workspace.pk, import_id=job.pk, cause=cause())
    assert (told.state, told.reason, told.done) == ("cancelled", "by_hand", 2)
    assert not advance(job.pk)
    assert Task.objects.count() == 2
    with pytest.raises(ImportOver):
        cancel_import(workspace_id=workspace.pk, import_id=job.pk, cause=cause())
    assert log(workspace)[-1].data["import"]["state"] == "cancelled"


def test_progress_is_told_at_most_once_a_second(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "STEP", 1)
    job = imported(workspace, b"title\n" + b"x\n" * 50)
    told = [e.data["import"]["state"] for e in log(workspace) if e.type == "import_progress"]
    took = (job.ended_at - job.created_at).total_seconds() if job.ended_at else 0
    assert (told[0], told[-1]) == ("running", "done")
    assert len(told) <= took + 3


def test_a_workspace_has_five_imports_under_way_at_most(workspace: Workspace) -> None:
    for _ in range(5):
        begin(workspace, b"title\nx\n")
    with pytest.raises(TooManyImports):
        Upload(workspace_id=workspace.pk, cause=cause())


def test_nothing_is_taken_for_a_workspace_that_was_deleted(workspace: Workspace) -> None:
    job = begin(workspace, b"title\nx\n")
    Workspace.objects.filter(pk=workspace.pk).update(deleted_at=Now())
    assert not advance(job.pk)
    assert walk._walking() == []
    job.refresh_from_db()
    assert (job.state, job.total) == ("running", None)
