"""Tasks: created, changed and deleted as through the API."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from tasks_app.access import Capability
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.admin.asking import asked, seen_of
from tasks_app.admin.causing import cause_of
from tasks_app.admin.finding import by_id, by_number, by_words, exactly
from tasks_app.admin.recorded import RecordedAdmin
from tasks_app.admin.rights import rights_of
from tasks_app.admin.scoped import Rows
from tasks_app.admin.site import site
from tasks_app.admin.task_form import TaskForm
from tasks_app.admin.verbs import each
from tasks_app.exceptions import Forbidden
from tasks_app.models import Task

TYPED = ["title", "description", "status", "priority", "assignee", "due_at", "labels"]
TOLD = ["where", "number", "sync", "version", "created_by", "created_at", "updated_at"]


@admin.register(Task, site=site)
class TaskAdmin(RecordedAdmin):
    """One's own workspaces' tasks, newest first."""

    form = TaskForm
    adds = changes = deletes = Capability.WRITE_TASKS
    finders = (by_id("pk"), by_number("number"), exactly("external_id"), by_words("title"))
    search_help_text = "An id, #number, a whole external id, or words of the title"
    list_display = (
        "title",
        "number",
        "where",
        "status",
        "priority",
        "sync",
        "assignee",
        "updated_at",
    )
    list_filter = ("status", "priority")
    autocomplete_fields = ("workspace",)
    readonly_fields = TOLD
    actions = ("delete_tasks",)

    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return tasks with what the log last told of them."""
        return super().get_queryset(request).with_sync()  # type: ignore[attr-defined,no-any-return]

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the order of the index that serves the list."""
        return ("-created_at", "-id") if request.GET.get("workspace") else ("-id",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is typed, then what is told; a task stays in its workspace."""
        typed = [*TYPED, "external_id", "metadata"]
        return ["workspace", *typed] if obj is None else [*typed, *TOLD, "seen"]

    def save_model(self, request: HttpRequest, obj: Task, form: TaskForm, change: bool) -> None:
        """Create or change it. Raises StaleVersion, Invalid, NotFound."""
        fields, cause = form.given(), cause_of(request)
        if change:
            made = update_task(
                workspace_id=obj.workspace_id,
                task_id=obj.pk,
                fields=fields,
                cause=cause,
                if_version=form.cleaned_data["seen"],
            )
        else:
            if not rights_of(request).may(Capability.WRITE_TASKS, obj.workspace_id):
                raise Forbidden
            made = create_task(workspace_id=obj.workspace_id, fields=fields, cause=cause)
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        """Delete it as it was seen. Raises StaleVersion, Invalid and NotFound."""
        delete_task(
            workspace_id=obj.workspace_id,
            task_id=obj.pk,
            cause=cause_of(request),
            if_version=seen_of(request, str(obj.pk)),
        )

    def seen(self, obj: Task) -> str:
        """Return the version."""
        return str(obj.version)

    @admin.action(description="Delete the selected tasks", permissions=["delete"])
    def delete_tasks(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Delete them once it was asked whether they are meant."""
        if "confirmed" not in request.POST:
            question = "Delete these tasks? Their log stays."
            return asked(self, request, rows, action="delete_tasks", question=question)
        cause = cause_of(request)

        def verb(task: Task) -> None:
            seen = seen_of(request, str(task.pk))
            delete_task(
                workspace_id=task.workspace_id, task_id=task.pk, cause=cause, if_version=seen
            )

        return each(self, request, rows, verb=verb, needs=Capability.WRITE_TASKS, done="Deleted")

    @admin.display(description="sync")
    def sync(self, task: Task) -> str:
        """Return how the outside world stands to it."""
        return task.sync_state or ""
