"""A list and its Stream-Cursor are of one instant: what commits between is in neither."""

from typing import Any

import pytest

from tasks_app.actions.task import create_task
from tasks_app.api import pagination
from tasks_app.api import task as task_api
from tasks_app.models import Workspace
from tests.support.callers import Answer, caller
from tests.support.factories import cause
from tests.support.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_task_that_commits_between_the_head_and_the_rows_is_not_in_the_list(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = caller(workspace)
    create_task(workspace_id=workspace.pk, fields={"title": "Before"}, cause=cause())
    read_page = pagination.page

    def after_a_commit(*args: Any, **options: Any) -> pagination.Page:
        """Let another transaction commit when the head has been read and the rows have not."""
        in_thread(
            lambda: create_task(
                workspace_id=workspace.pk, fields={"title": "Between"}, cause=cause()
            )
        ).result(20)
        return read_page(*args, **options)

    monkeypatch.setattr(task_api, "page", after_a_commit)
    answer = api.get("tasks/")
    assert [task["title"] for task in answer.body["results"]] == ["Before"]
    assert cursor(answer) == 1
    followed = api.get(f"events/?after={cursor(answer)}").body["results"]
    assert [event["task"]["title"] for event in followed] == ["Between"]


def test_reading_takes_no_lock_that_a_writer_waits_for(workspace: Workspace) -> None:
    api = caller(workspace)
    task = create_task(workspace_id=workspace.pk, fields={"title": "One"}, cause=cause())
    assert api.get(f"tasks/{task.pk}/").status == 200
    assert api.patch(f"tasks/{task.pk}/", {"title": "Two"}).status == 200


def cursor(answer: Answer) -> int:
    return int(answer.headers["Stream-Cursor"].partition(".")[2])
