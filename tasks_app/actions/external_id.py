"""Tasks by the id that another system gave them: put there, whether they exist or not."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from tasks_app.actions.taken import Taken
from tasks_app.actions.task import (
    Versions,
    alter,
    check_version,
    create_task,
    locked_task,
    remove,
    save_altered,
)
from tasks_app.events.cause import Cause
from tasks_app.exceptions import Conflict, FieldError, Invalid, NotFound, StaleVersion
from tasks_app.models import Task

TRIES: Final = 5


def put_task(
    *,
    workspace_id: uuid.UUID,
    external_id: str,
    fields: Mapping[str, Any],
    cause: Cause,
    echoed: Mapping[str, Any],
    if_version: Versions = None,
    must_exist: bool = False,
    must_be_new: bool = False,
) -> tuple[Task, bool]:
    """Create the task that has this external id, or change it; return it and whether it is new.

    Of requests that put one id at the same time, one creates and the others change. Raises
    StaleVersion where the task is not at one of the versions named, does not exist though it must
    or exists though it must not; Invalid where an echoed field differs; Conflict where the task
    comes and goes faster than it can be caught.
    """
    named = {**fields, "external_id": external_id}
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                task = locked_task(workspace_id, None, external_id=external_id)
                if must_be_new:
                    raise StaleVersion("A task with this external id exists.")
                check_version(task, if_version)
                save_altered(task, alter(task, named, echoed=echoed), cause)
            return task, False
        except NotFound:
            _refuse_new(echoed, must_exist=must_exist)
        try:
            return create_task(workspace_id=workspace_id, fields=named, cause=cause), True
        except Taken:
            continue  # another request has created it since we looked
    raise Conflict("The task is created and deleted all the time; try again.")


def _refuse_new(echoed: Mapping[str, Any], *, must_exist: bool) -> None:
    if must_exist:
        raise StaleVersion("There is no task with this external id.")
    if echoed:
        detail = "This field is read-only, and the task is new."
        raise Invalid(errors=tuple(FieldError(f"/{name}", "read_only", detail) for name in echoed))


def delete_by_external_id(
    *, workspace_id: uuid.UUID, external_id: str, cause: Cause, if_version: Versions = None
) -> None:
    """Delete the task that has this external id.

    Raises NotFound, and StaleVersion where ``if_version`` names other versions than the task's.
    """
    with transaction.atomic():
        remove(locked_task(workspace_id, if_version, external_id=external_id), cause)
