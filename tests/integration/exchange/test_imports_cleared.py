"""What files and imports leave behind is forgotten, little by little, and locks nobody out."""

from datetime import UTC, datetime

import pytest

from tasks_app.actions import import_job
from tasks_app.exceptions import NotFound
from tasks_app.exchange import clear
from tasks_app.exchange.clear import forget_files, forget_the_old
from tasks_app.exchange.upload import PART, Upload
from tasks_app.models import ImportChunk, ImportJob, Workspace
from tests.support.factories import cause
from tests.support.imports import begin, imported

pytestmark = pytest.mark.django_db


def test_a_file_is_forgotten_once_it_is_walked_and_the_import_after_a_month(
    workspace: Workspace,
) -> None:
    job = imported(workspace, b"title\n" + b"x" * 201 + b"\n")
    under_way = begin(workspace, b"title\nx\n")
    assert forget_files() == 1
    assert set(ImportChunk.objects.values_list("job_id", flat=True)) == {under_way.pk}
    assert ImportJob.objects.filter(pk=job.pk).exists()
    broken = Upload(workspace_id=workspace.pk, cause=cause())
    fresh = Upload(workspace_id=workspace.pk, cause=cause())
    assert forget_the_old() == 0
    age(job, "ended_at", 31 * 86_400)
    age(ImportJob.objects.get(pk=broken.job_id), "told_at", 1000)
    assert forget_the_old() == 2
    left = ImportJob.objects.filter(ended_at=None)
    assert set(left.values_list("pk", flat=True)) == {under_way.pk, fresh.job_id}
    assert not ImportJob.objects.filter(pk=job.pk).exists()
    assert clear.forget_files() == 0


def age(job: ImportJob, name: str, seconds: int) -> None:
    from_now = getattr(job, name).timestamp() - seconds
    ImportJob.objects.filter(pk=job.pk).update(**{name: datetime.fromtimestamp(from_now, UTC)})


def broken(of: Workspace, parts: int) -> Upload:
    """Return an upload whose sender has been silent for long."""
    upload = Upload(workspace_id=of.pk, cause=cause())
    upload.write(b"x" * PART * parts)
    age(ImportJob.objects.get(pk=upload.job_id), "told_at", 1000)
    return upload


def test_uploads_that_broke_off_lock_nobody_out_and_take_no_more(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large they are: their parts go later, a few at a time."""
    monkeypatch.setattr(clear, "PARTS", 1)
    gone = [broken(workspace, parts=2) for _ in range(import_job.AT_ONCE)]
    assert forget_the_old() == len(gone)
    begin(workspace, b"title\nx\n")
    with pytest.raises(NotFound):
        gone[0].write(b"x" * PART)
    assert not ImportJob.objects.in_workspace(workspace.pk).exclude(state="running").exists()
    assert [forget_files() for _ in range(11)] == [1] * 10 + [0]
    assert ImportChunk.objects.count() == 1


def test_an_import_of_old_is_deleted_part_by_part(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its file outlived it, because nothing ran meanwhile."""
    monkeypatch.setattr(clear, "PARTS", 1)
    job = imported(workspace, b"title\n" + b"x" * PART * 2)
    age(job, "ended_at", 31 * 86_400)
    assert clear._forget_one() == 0
    assert ImportChunk.objects.filter(job=job).count() == 2
    assert [clear._forget_one() for _ in range(4)] == [0, 0, 1, None]
    assert not ImportJob.objects.exists()
