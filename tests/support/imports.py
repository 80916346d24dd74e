"""Imports for tests: a file that is there, walked to its end in the test's own process."""

from typing import Any

from tasks_app.actions.import_job import begin_import
from tasks_app.exchange.header import csv_layout, ndjson_layout
from tasks_app.exchange.step import advance
from tasks_app.exchange.upload import Upload
from tasks_app.models import ImportJob, Task, Workspace
from tests.support.factories import cause

FIELDS = (
    *("external_id", "title", "description", "status", "priority", "assignee", "due_at"),
    *("labels", "metadata"),
)


def begin(of: Workspace, data: bytes, *, dry_run: bool = False) -> ImportJob:
    """Return an import of this file; NDJSON where it begins like it."""
    upload = Upload(workspace_id=of.pk, cause=cause())
    upload.write(data)
    upload.finish()
    is_json = data.lstrip(b"\xef\xbb\xbf \n").startswith(b"{")
    layout = ndjson_layout(upload.first) if is_json else csv_layout(upload.first)
    return begin_import(
        job_id=upload.job_id,
        file_format="ndjson" if is_json else "csv",
        filename="tasks",
        dry_run=dry_run,
        delimiter=layout.delimiter,
        columns=layout.columns,
        start=layout.start,
        lines=layout.lines,
        cause=cause(),
    )


def walk(job: ImportJob) -> ImportJob:
    """Take steps until it is over."""
    while advance(job.pk):
        pass
    job.refresh_from_db()
    return job


def imported(of: Workspace, data: bytes, **options: Any) -> ImportJob:
    """Return an import of this file that has ended."""
    return walk(begin(of, data, **options))


def contents(of: Workspace) -> list[tuple[Any, ...]]:
    """Return what people wrote into tasks, in the order of their numbers."""
    return list(Task.objects.in_workspace(of.pk).order_by("number").values_list(*FIELDS))


def wrong(job: ImportJob) -> list[tuple[int, int, str, str]]:
    """Return what is wrong with rows."""
    return list(job.faults.order_by("id").values_list("row", "line", "pointer", "code"))
