"""Files come in over HTTP and go out again: what is wrong with all of one is said at once."""

import csv
import gc
import io
import json
from typing import Any

import pytest
from django.db.models import Q

from tasks_app.actions.task import create_task
from tasks_app.api import export_places
from tasks_app.exchange import pages, upload
from tasks_app.models import ImportChunk, ImportJob, Role, Scope, Task, Workspace
from tests.support import factories
from tests.support.callers import Answer, Caller, caller
from tests.support.factories import cause, log
from tests.support.imports import contents, imported, walk

pytestmark = pytest.mark.django_db

NASTY: dict[str, Any] = {
    "title": "=HYPERLINK(1)",
    "external_id": "-1",
    "description": "'=1\r\nlone\rand \"quotes\", 'apostrophes'\n",
    "status": "done",
    "priority": "urgent",
    "assignee": "@bob",
    "due_at": "2026-01-31T12:00:00.000001Z",
    "labels": ["a,b", '"q"', "=c", " d "],
    "metadata": {"ü": [1.5, None, True, {"=x": "\n"}]},
}


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace, role=Role.MEMBER, scope=Scope.WRITE)


def send(api: Caller, data: bytes, query: str = "", kind: str = "text/csv", **more: str) -> Answer:
    return api.call("POST", f"imports/{query}", raw=data, content_type=kind, headers=more)


def form(*parts: tuple[str, str], name: str = "file", filename: str = "tasks.csv") -> bytes:
    fields = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in parts[1:]
    )
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"'
    return f"{head}\r\n\r\n{parts[0][1]}\r\n{fields}--x--\r\n".encode()


MULTIPART = "multipart/form-data; boundary=x"


def job_of(answer: Answer) -> ImportJob:
    assert answer.status == 202, answer.raw
    return ImportJob.objects.get(pk=answer.body["id"])


@pytest.mark.parametrize("file_format", ["csv", "ndjson"])
def test_an_export_imported_elsewhere_is_the_same(
    api: Caller, workspace: Workspace, file_format: str
) -> None:
    kind = {"csv": "text/csv", "ndjson": "application/x-ndjson"}[file_format]
    for fields in (NASTY, {"title": "plain"}, {"title": "'single", "labels": ["x"]}):
        assert api.post("tasks/", fields).status == 201
    exported = api.get(f"tasks/export/?format={file_format}")
    assert exported.headers["Content-Type"].startswith(kind)
    assert f'.{file_format}"' in exported.headers["Content-Disposition"]
    assert exported.headers["Stream-Cursor"].endswith(".3")
    elsewhere = factories.workspace()
    job = walk(job_of(send(caller(elsewhere), exported.raw, kind=kind)))
    assert (job.created, job.failed) == (3, 0)
    assert contents(elsewhere) == contents(workspace)
    again = imported(workspace, exported.raw)
    assert (again.created, again.updated, again.unchanged) == (2, 0, 1)  # one has an external id


def test_cells_of_an_export_are_quoted_and_defused(api: Caller) -> None:
    api.post("tasks/", NASTY)
    raw = api.get("tasks/export/").raw
    assert raw.startswith(b'"id","number","external_id","title"')
    row = next(csv.DictReader(io.StringIO(raw.decode(), newline="")))
    assert row["title"] == "'=HYPERLINK(1)"
    assert (row["assignee"], row["external_id"]) == ("'@bob", "'-1")
    assert row["description"] == f"'{NASTY['description']}"
    assert json.loads(row["metadata"]) == NASTY["metadata"]


def test_an_export_has_the_list_s_filters_and_refuses_others_before_the_first_byte(
    api: Caller,
) -> None:
    for number in range(4):
        api.post("tasks/", {"title": str(number), "status": "done" if number % 2 else "open"})
    found = api.get("tasks/export/?format=ndjson&status=done").raw.splitlines()
    assert [json.loads(line)["title"] for line in found] == ["1", "3"]
    empty = api.get("tasks/export/?search=nothing")
    assert empty.raw.count(b"\r\n") == 1
    for query, pointer, code in (
        ("status=closed", "?status", "invalid"),
        ("format=xlsx", "?format", "invalid"),
        ("format=csv&format=csv", "?format", "repeated"),
        ("limit=5", "?limit", "unknown_parameter"),
        ("ordering=title", "?ordering", "unknown_parameter"),
        ("nope=1", "?nope", "unknown_parameter"),
    ):
        answer = api.get(f"tasks/export/?{query}")
        assert (answer.status, answer.pointers) == (400, [(pointer, code)])
    assert api.get("tasks/export/", Accept="text/csv").status == 200


def test_an_export_holds_what_was_there_when_it_began(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come and go meanwhile: each of the old is there once, none of the new."""
    monkeypatch.setattr(pages, "PAGE", 2)
    monkeypatch.setattr(pages, "WINDOW", 3)
    made = [make(workspace, str(number)) for number in range(10)]
    Task.objects.filter(pk=made[1].pk).delete()
    found = pages.begin(workspace.pk, Q())
    seen = []
    for tasks in found:
        seen += [task.title for task in tasks]
        make(workspace, "new")
        Task.objects.filter(pk=made[0].pk).delete()
        Task.objects.filter(pk=made[9].pk).update(title="changed")
    assert seen == ["0", *"2345678", "changed"]


def make(workspace: Workspace, title: str) -> Task:
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def test_a_workspace_has_four_exports_at_once_and_a_place_is_never_lost(
    api: Caller, workspace: Workspace
) -> None:
    places = [export_places.take_place(workspace.pk) for _ in range(4)]
    answer = api.get("tasks/export/")
    assert (answer.status, answer.body["type"]) == (429, "/problems/too_many_exports")
    assert int(answer.headers["Retry-After"]) > 0
    assert caller(factories.workspace()).get("tasks/export/").status == 200
    places.pop().leave()
    for _ in range(6):
        head = api.client.head("/api/v1/tasks/export/", headers=api.headers)
        assert head.status_code == 200, dict(head.headers)
        assert api.get("tasks/export/").status == 200
        unread = api.client.get("/api/v1/tasks/export/", headers=api.headers)
        assert unread.status_code == 200
        del unread
        gc.collect()  # a client keeps what it has asked in circles
    del places
    assert not export_places._taken


def test_rights_are_a_viewer_s_for_exports_and_a_member_s_for_imports(
    workspace: Workspace, api: Caller
) -> None:
    viewer = caller(workspace, role=Role.VIEWER)
    job = job_of(send(api, b"title\nx\n"))
    assert viewer.get("tasks/export/").status == 200
    assert viewer.get(f"imports/{job.pk}/").status == 200
    for reader in (viewer, caller(workspace, scope=Scope.READ)):
        assert send(reader, b"title\nx\n").status == 403
        assert reader.post(f"imports/{job.pk}/cancel/").status == 403
    stranger = caller(factories.workspace())
    assert stranger.get(f"imports/{job.pk}/").status == 404
    assert stranger.post(f"imports/{job.pk}/cancel/").status == 404
    assert Caller().get("tasks/export/").status == 401
    assert send(Caller(), b"title\nx\n").status == 401


def test_an_import_is_shown_listed_and_cancelled(api: Caller, workspace: Workspace) -> None:
    answer = send(api, form(("", "title\nx\ny,z\n"), ("dry_run", "true")), kind=MULTIPART)
    job = job_of(answer)
    assert answer.headers["Location"].endswith(f"/api/v1/imports/{job.pk}/")
    assert (answer.body["state"], answer.body["total"], answer.body["errors"]) == (
        *("running", None),
        [],
    )
    assert (answer.body["filename"], answer.body["dry_run"]) == ("tasks.csv", True)
    walk(job)
    shown = api.get(f"imports/{job.pk}/").body
    assert (shown["done"], shown["failed"]) == (1, 1)
    assert shown["errors"][0].keys() == {"row", "line", "pointer", "code", "detail"}
    assert [one["id"] for one in api.get("imports/?state=done").body["results"]] == [str(job.pk)]
    assert api.post(f"imports/{job.pk}/cancel/").body["type"] == "/problems/import_over"
    other = job_of(send(api, b"title\nx\n"))
    assert api.post(f"imports/{other.pk}/cancel/").body["state"] == "cancelled"
    assert not Task.objects.exists()
    assert [e.type for e in log(workspace)] == ["import_progress"] * 4


@pytest.mark.parametrize(
    ("data", "query", "pointer", "code"),
    [
        (b"", "", "/file", "empty"),
        (b"\xef\xbb\xbf\n \n", "", "/file", "empty"),
        ("title\nä\n".encode("latin-1"), "", "/file", "not_utf8"),
        ("title\nä\n".encode("utf-16"), "", "/file", "not_utf8"),
        (b"title\n\xc3", "", "/file", "not_utf8"),
        (b"title,nope\nx,y\n", "", "/file", "unknown_column"),
        (b"title,title\nx,y\n", "", "/file", "repeated_column"),
        (b"status\nopen\n", "", "/file", "missing_column"),
        (b"title;status\nx;open\n", "?delimiter=,", "/file", "unknown_column"),
        (b"title\nx\n", "?delimiter=%23", "/delimiter", "invalid_choice"),
        (b"title\nx\n", "?dry_run=yes", "/dry_run", "invalid"),
        (b"title\nx\n", "?format=xml", "/format", "invalid_choice"),
        (b"title\nx\n", "?format=ndjson&delimiter=,", "/delimiter", "not_applicable"),
        (b"title\nx\n", "?nope=1", "?nope", "unknown_parameter"),
        (b"title\nx\n", "?dry_run=true&dry_run=true", "/dry_run", "repeated"),
    ],
)
def test_what_is_wrong_with_all_of_a_file_is_said_at_once(
    api: Caller, data: bytes, query: str, pointer: str, code: str
) -> None:
    answer = send(api, data, query)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)])
    assert not ImportJob.objects.exists()
    assert not ImportChunk.objects.exists()


def test_forms_have_one_file_and_known_fields(api: Caller) -> None:
    csv_file = ("", "title\nx\n")
    for body, pointer in (
        (form(csv_file, ("nope", "1")), "/nope"),
        (form(csv_file, name="upload"), "/upload"),
        (form(csv_file)[:-7] + b"\r\n" + form(csv_file), "/file"),
        (b"--x--\r\n", "/file"),
    ):
        answer = send(api, body, kind=MULTIPART)
        assert (answer.status, answer.pointers[0][0]) == (400, pointer), answer.raw
    assert send(api, form(csv_file, ("format", "csv")), "?format=csv", kind=MULTIPART).status == 400
    assert send(api, b"no form", kind="multipart/form-data").status == 400
    assert send(api, b"title\nx\n", kind="application/pdf").status == 415
    assert send(api, b"title\nx\n", kind="text/csv; charset=latin-1").status == 415
    unnamed = send(api, form(csv_file, filename="tasks"), kind=MULTIPART)
    assert unnamed.pointers == [("/format", "required")]
    assert send(api, form(csv_file, ("format", "csv"), filename="t"), kind=MULTIPART).status == 202


def test_a_file_is_kept_in_parts_and_has_an_end(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MAX_BYTES", 600_000)
    data = b"title\n" + b"x\n" * 299_997
    job = job_of(send(api, data))
    kept: Any = ImportChunk.objects.filter(job=job).order_by("number")
    parts = list(kept.values_list("data", flat=True))
    assert [len(part) for part in parts] == [262_144, 262_144, 75_712]
    assert b"".join(bytes(part) for part in parts) == data
    assert job.size == 600_000
    assert send(api, data + b"x").status == 413
    assert ImportJob.objects.count() == 1


def test_a_key_makes_one_import_however_often_the_file_is_sent(api: Caller) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = send(api, b"title\nx\n", **key)
    again = send(api, b"title\nx\n", **key)
    assert (again.raw, again.headers["Idempotent-Replayed"]) == (first.raw, "true")
    assert send(api, b"title\ny\n", **key).status == 422
    assert send(api, b"title\nx\n", "?dry_run=true", **key).status == 422
    assert [str(pk) for pk in ImportJob.objects.values_list("pk", flat=True)] == [first.body["id"]]
    assert ImportChunk.objects.count() == 1


def test_a_login_needs_its_token_in_a_header_and_the_file_stays_unread(
    workspace: Workspace,
) -> None:
    someone = factories.member(workspace, name="bob")
    api = Caller()
    api.client.handler.enforce_csrf_checks = True
    api.client.force_login(someone.user)
    assert send(api, form(("", "title\nx\n")), kind=MULTIPART).status == 403
    api.client.cookies["csrftoken"] = token = "t" * 32
    job = job_of(send(api, form(("", "title\nx\n")), kind=MULTIPART, **{"X-CSRFToken": token}))
    assert walk(job).done == 1
