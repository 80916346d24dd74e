"""Tasks in the admin: recorded and delivered like any other change, and never overwritten."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.models import Delivery, Event, Task, Workspace
from tests.support import factories
from tests.support.admin_pages import address, do, filled, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(workspace: Workspace) -> Task:
    fields = {"title": "Renew", "labels": ["a,b", " c"], "metadata": {"n": 1}}
    return create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause())


def change(browser: Client, task: Task, **typed: Any) -> Any:
    url = address(Task, "change", task.pk)
    return browser.post(url, filled(browser, url, **typed), follow=True)


def test_a_new_task_is_recorded_and_delivered(
    browser: Client, operator: User, workspace: Workspace
) -> None:
    factories.destination(workspace)
    url = address(Task, "add")
    typed = {"workspace": workspace.pk, "title": "Renew", "labels": "ops\r\nweb", "metadata": "{}"}
    sent = filled(browser, url, **typed)
    answer = browser.post(url, sent, headers={"X-Request-ID": "from-the-admin"})
    assert answer.status_code == 302
    task = Task.objects.get()
    assert (task.title, task.labels, task.created_by) == ("Renew", ["ops", "web"], "olivia")
    event = Event.objects.get()
    assert (event.type, event.task_id, event.request_id) == (
        *("task_created", task.pk, "from-the-admin"),
    )
    assert event.actor == {"kind": "user", "id": str(operator.pk), "name": "olivia"}
    assert Delivery.objects.get().task_id == task.pk


def test_a_change_is_recorded_with_what_changed_and_nothing_else(
    browser: Client, task: Task
) -> None:
    answer = change(browser, task, title="Renew it", _continue="")
    assert answer.redirect_chain
    event = Event.objects.order_by("-seq")[0]
    assert (event.type, event.data["changes"]) == (
        *("task_updated", {"title": ["Renew", "Renew it"]}),
    )


def test_saving_a_page_as_it_is_changes_nothing(browser: Client, workspace: Workspace) -> None:
    """Whatever a text holds, and though a browser sends other ends of lines."""
    odd = {
        "title": " two  blanks ",
        "description": "\n one\ntwo\n",
        "labels": ["a,b", " c ", "ü"],
        "metadata": {"a": [1, 1.5, None], "ü": "<&>"},
        "external_id": "it's / that",
        "due_at": "2026-01-31T12:00:00.123456Z",
    }
    task = create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
    Task.objects.filter(pk=task.pk).update(**odd)
    before = Task.objects.values().get()
    assert change(browser, task).redirect_chain
    assert Task.objects.values().get() == before
    assert Event.objects.count() == 1


def test_a_stale_page_overwrites_nothing_and_says_so(browser: Client, task: Task) -> None:
    url = address(Task, "change", task.pk)
    sent = filled(browser, url, title="Mine")
    update_task(
        workspace_id=task.workspace_id,
        task_id=task.pk,
        fields={"priority": "urgent"},
        cause=factories.cause(),
    )
    for _ in range(2):  # also when it is sent again
        answer = browser.post(url, sent)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert "The task is at version 2, which is not the one named." in page
        assert 'value="Mine"' in page  # what was typed is not lost
    now = Task.objects.get()
    assert (now.title, now.priority, now.version) == ("Renew", "urgent", 2)
    assert Event.objects.count() == 2


def test_a_page_that_does_not_say_of_which_version_it_was_is_refused(
    browser: Client, task: Task
) -> None:
    answer = change(browser, task, title="Mine", seen="")
    assert "The version is missing" in answer.content.decode()
    assert Task.objects.get().title == "Renew"


def test_what_the_action_refuses_is_shown_beside_its_field(
    browser: Client, workspace: Workspace, task: Task
) -> None:
    fields = {"title": "Other", "external_id": "taken"}
    create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause())
    answer = change(browser, task, external_id="taken")
    form = answer.context["adminform"].form
    assert list(form.errors) in ([["external_id"], ["__all__"]])
    assert Task.objects.get(pk=task.pk).version == 1


def test_a_task_that_is_gone_meanwhile_is_not_made_again(browser: Client, task: Task) -> None:
    url = address(Task, "change", task.pk)
    sent = filled(browser, url, title="Mine")
    delete_task(workspace_id=task.workspace_id, task_id=task.pk, cause=factories.cause())
    answer = browser.post(url, sent, follow=True)
    assert "doesn’t exist" in answer.content.decode()
    assert not Task.objects.exists()


def test_deleting_asks_and_is_recorded(browser: Client, task: Task) -> None:
    url = address(Task, "delete", task.pk)
    sent = filled(browser, url)
    assert Task.objects.exists()
    assert browser.post(url, sent).status_code == 302
    assert not Task.objects.exists()
    event = Event.objects.order_by("-seq")[0]
    assert (event.type, event.actor["name"]) == ("task_deleted", "olivia")


def test_deleting_what_has_changed_since_it_was_asked_is_refused(
    browser: Client, task: Task
) -> None:
    url = address(Task, "delete", task.pk)
    sent = filled(browser, url)
    Task.objects.update(version=2)
    answer = browser.post(url, sent, follow=True)
    assert "version 2" in texts(answer)[0]
    assert Task.objects.exists()


def test_many_are_deleted_as_they_were_shown_and_the_others_are_named(
    browser: Client, workspace: Workspace
) -> None:
    made = [
        create_task(workspace_id=workspace.pk, fields={"title": f"t{n}"}, cause=factories.cause())
        for n in range(3)
    ]
    asked = do(browser, Task, "delete_tasks", *made)
    assert "Delete these tasks?" in asked.content.decode()
    assert Task.objects.count() == 3
    Task.objects.filter(pk=made[1].pk).update(version=2)
    seen = {f"seen-{task.pk}": "1" for task in made}
    answer = do(browser, Task, "delete_tasks", *made, confirmed="yes", **seen)
    told = texts(answer)
    assert told[0] == "Deleted 2 tasks."
    assert told[1].startswith("Refused for 1 task: The task is at version 2")
    assert "t1" in told[1]
    assert [task.title for task in Task.objects.all()] == ["t1"]
    assert list(Event.objects.order_by("seq").values_list("type", flat=True)[3:]) == [
        *("task_deleted", "task_deleted"),
    ]


def test_its_history_is_the_log(browser: Client, task: Task) -> None:
    update_task(
        workspace_id=task.workspace_id,
        task_id=task.pk,
        fields={"title": "Renewed"},
        cause=factories.cause("bob"),
    )
    page = browser.get(address(Task, "history", task.pk), follow=True).content.decode()
    assert "task_updated" in page
    assert "bob" in page
