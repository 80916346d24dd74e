"""Many tasks in one request: `/api/v1/tasks/bulk/`."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions.bulk import OPERATIONS_MAX, change_tasks
from tasks_app.actions.bulk_plan import Done, Op, Operation
from tasks_app.api.fields import Id, Items, StrictSerializer, Text, WholeNumber, Word
from tasks_app.api.schema import documented
from tasks_app.api.task import TaskSerializer, drop_known_sync
from tasks_app.api.workspace_view import WorkspaceView

STATUS: Final = {Op.CREATE: 201, Op.UPDATE: 200, Op.DELETE: 204}
ID_HELP: Final = "Or name the task by its `external_id`."


class CreateOperationSerializer(TaskSerializer):
    """Create a task."""

    op = Word(choices=[Op.CREATE.value])


class UpdateOperationSerializer(TaskSerializer):
    """Change the fields that are given."""

    op = Word(choices=[Op.UPDATE.value])
    id = Id(required=False, help_text=ID_HELP)
    if_version = WholeNumber(required=False, min_value=1)


class DeleteOperationSerializer(StrictSerializer):
    """Delete a task."""

    op = Word(choices=[Op.DELETE.value])
    id = Id(required=False, help_text=ID_HELP)
    external_id = Text(required=False, max_length=200)
    if_version = WholeNumber(required=False, min_value=1)


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="Operation",
        serializers={
            Op.CREATE.value: CreateOperationSerializer,
            Op.UPDATE.value: UpdateOperationSerializer,
            Op.DELETE.value: DeleteOperationSerializer,
        },
        resource_type_field_name="op",
    )
)
class OperationField(serializers.Field[Any, Any, Any, Any]):
    """One operation, read by what its ``op`` says."""

    def to_internal_value(self, data: Any) -> Operation:
        """Return the operation."""
        if not isinstance(data, Mapping):
            raise ValidationError("An operation must be a JSON object.", "not_an_object")
        op = data.get("op")
        if not isinstance(op, str) or op not in READERS:
            wrong = ErrorDetail("op must be create, update or delete.", "invalid_choice")
            raise ValidationError({"op": [wrong]})
        return _operation(Op(op), *_read(READERS[op], data))


READERS: Final[Mapping[str, StrictSerializer]] = {
    Op.CREATE: CreateOperationSerializer(),
    Op.UPDATE: UpdateOperationSerializer(partial=True),
    Op.DELETE: DeleteOperationSerializer(),
}


class BulkSerializer(StrictSerializer):
    """What is to be done, in order."""

    operations = Items(child=OperationField(), allow_empty=False, max_length=OPERATIONS_MAX)


class DoneSerializer(serializers.Serializer[Any]):
    """What an operation came to."""

    op = serializers.ChoiceField(choices=[op.value for op in Op])
    status = serializers.IntegerField(help_text="As if it had been a request of its own.")
    task = TaskSerializer(help_text="As of after this operation.")


class BulkDoneSerializer(serializers.Serializer[Any]):
    """One result for each operation, in order."""

    results = DoneSerializer(many=True)


ASKED: Final = BulkSerializer()


class BulkView(WorkspaceView):
    """Create, change and delete many tasks at once."""

    capabilities = {"create": Capability.WRITE_TASKS}

    @documented(
        "tasks_bulk",
        BulkDoneSerializer,
        request=BulkSerializer,
        cursor=False,
        example={
            "operations": [
                {"op": "create", "title": "One", "external_id": "A-1"},
                {"op": "update", "external_id": "A-1", "if_version": 1, "status": "done"},
            ]
        },
    )
    def create(self, request: Request) -> Response:
        """Do up to 1,000 things in one transaction: all of them, or none.

        An error names its operation, as in `/operations/3/title`. `if_version` is the If-Match of
        one operation.
        """
        asked = ASKED.read_new(request.data)
        done = change_tasks(
            workspace_id=self.workspace_id, operations=asked["operations"], cause=self.cause
        )
        return Response({"results": [_told(one) for one in done]})


def _read(reader: StrictSerializer, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if reader is READERS[Op.CREATE]:
        return reader.read_new(data), {}
    values, echoed = reader.read(data)
    if isinstance(reader, TaskSerializer):
        drop_known_sync(echoed)
    if "id" not in values and values.get("external_id") is None:
        wrong = ErrorDetail("Name the task by its id or its external_id.", "required")
        raise ValidationError({"id": [wrong]})
    return values, echoed


def _operation(op: Op, values: dict[str, Any], echoed: dict[str, Any]) -> Operation:
    """Sort what names a task from what it becomes: beside an id, external_id is a field.

    Of a deletion there is nothing to become: there it is one more thing that must be so.
    """
    del values["op"]
    task_id = values.pop("id", None)
    version = values.pop("if_version", None)
    named_otherwise = op is not Op.CREATE and task_id is None
    return Operation(
        op=op,
        task_id=task_id,
        external_id=values.pop("external_id") if named_otherwise else None,
        if_version=version,
        fields={} if op is Op.DELETE else values,
        echoed=values if op is Op.DELETE else echoed,
    )


def _told(done: Done) -> dict[str, Any]:
    return {"op": done.op, "status": STATUS[done.op], "task": done.shown}
