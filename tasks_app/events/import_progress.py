"""How far an import is, as the log tells it."""

from typing import Any

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.new_event import NewEvent
from tasks_app.events.snapshot import moment
from tasks_app.models import ImportJob


def import_snapshot(job: ImportJob) -> dict[str, Any]:
    """Return an import without what is wrong with its rows."""
    return {
        "id": str(job.pk),
        "state": job.state,
        "reason": job.reason,
        "format": job.format,
        "filename": job.filename,
        "dry_run": job.dry_run,
        "total": job.total,
        "done": job.done,
        "failed": job.failed,
        "created": job.created,
        "updated": job.updated,
        "unchanged": job.unchanged,
        "size": job.size,
        "created_by": job.actor.get("name", ""),
        "created_at": moment(job.created_at),
        "ended_at": moment(job.ended_at),
    }


def import_cause(job: ImportJob) -> Cause:
    """Return who asked for the import, in which request."""
    return Cause(**job.actor, request_id=job.request_id)


def import_progress(job: ImportJob, cause: Cause) -> NewEvent:
    """Return the event that tells of the import as it stands."""
    return NewEvent(
        workspace_id=job.workspace_id,
        type=EventType.IMPORT_PROGRESS,
        cause=cause,
        data={"import": import_snapshot(job)},
    )
