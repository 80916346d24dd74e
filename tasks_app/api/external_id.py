"""Tasks by the id that another system gave them: `/api/v1/tasks/by-external-id/{external_id}/`."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.external_id import delete_by_external_id, put_task
from tasks_app.api.concurrency import etag, expected_versions, is_only_new
from tasks_app.api.schema import documented
from tasks_app.api.task import WHOLE, TaskSerializer, drop_known_sync, told_task
from tasks_app.api.workspace_view import WorkspaceView, shown
from tasks_app.exceptions import FieldError, Invalid, NotFound
from tasks_app.models import Task
from tasks_app.queries.snapshot import snapshot_at_head

NAME: Final = OpenApiParameter(
    "external_id", str, OpenApiParameter.PATH, description="Percent-encoded, slashes too: `a%2Fb`."
)
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    enum=["*"],
    description="`*`: only create; refuse with 412 where the task exists.",
)


class ExternalIdView(WorkspaceView):
    """Put, read and delete a task without knowing whether it is there."""

    capabilities = {
        "retrieve": Capability.READ,
        "update": Capability.WRITE_TASKS,
        "destroy": Capability.WRITE_TASKS,
    }

    @documented("tasks_by_external_id_retrieve", TaskSerializer, tag=True, parameters=[NAME])
    def retrieve(self, request: Request, external_id: str) -> Response:
        """Show the task that has this external id."""
        tasks = Task.objects.in_workspace(self.workspace_id).with_sync()
        with snapshot_at_head(self.workspace_id) as head:
            task = tasks.filter(external_id=_readable(external_id)).first()
        if task is None:
            raise NotFound
        return shown(told_task(task), head, ETag=etag(task.version))

    @documented(
        "tasks_by_external_id_update",
        TaskSerializer,
        request=TaskSerializer,
        tag=True,
        if_match=True,
        cursor=False,
        parameters=[NAME, IF_NONE_MATCH],
        also={201: TaskSerializer},
        example={"title": "Renew the certificate", "priority": "high", "labels": ["ops"]},
    )
    def update(self, request: Request, external_id: str) -> Response:
        """Create the task that has this external id (201), or replace it (200)."""
        if_match = request.META.get("HTTP_IF_MATCH")
        fields, echoed = WHOLE.read(_named(request.data, external_id))
        drop_known_sync(echoed)
        task, is_new = put_task(
            workspace_id=self.workspace_id,
            external_id=external_id,
            fields=fields,
            cause=self.cause,
            echoed=echoed,
            if_version=expected_versions(if_match),
            must_exist=if_match is not None,
            must_be_new=is_only_new(request.META.get("HTTP_IF_NONE_MATCH")),
        )
        headers = {"ETag": etag(task.version)}
        if is_new:
            root = request.path.partition("by-external-id/")[0]
            headers["Location"] = request.build_absolute_uri(f"{root}{task.pk}/")
        return Response(told_task(task), status=201 if is_new else 200, headers=headers)

    @documented("tasks_by_external_id_destroy", None, status=204, if_match=True, parameters=[NAME])
    def destroy(self, request: Request, external_id: str) -> Response:
        """Delete the task that has this external id; its log stays."""
        delete_by_external_id(
            workspace_id=self.workspace_id,
            external_id=_readable(external_id),
            cause=self.cause,
            if_version=expected_versions(request.META.get("HTTP_IF_MATCH")),
        )
        return Response(status=204)


def _readable(external_id: str) -> str:
    if "\0" in external_id:
        raise NotFound
    return external_id


def _named(body: Any, external_id: str) -> Any:
    """Return the body with the address's id, which a body may repeat and not contradict."""
    if not isinstance(body, dict):
        return body
    if body.get("external_id", external_id) != external_id:
        wrong = FieldError("/external_id", "differs", "The address names another external id.")
        raise Invalid(errors=(wrong,))
    if "\0" in external_id:
        wrong = FieldError("/external_id", "unstorable_text", "Text must not contain NUL.")
        raise Invalid(errors=(wrong,))
    return {**body, "external_id": external_id}
