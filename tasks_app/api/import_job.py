"""Imports: `/api/v1/imports/`. `stream` takes the files; all else is served by `api`."""

import hashlib
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.datastructures import MultiValueDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from tasks_app.access import Capability
from tasks_app.actions.import_job import begin_import, cancel_import
from tasks_app.api import filters
from tasks_app.api.fields import NOTHING
from tasks_app.api.idempotency import answered_once, idempotency_key
from tasks_app.api.import_body import Given, asked_of, receive
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.rendering import JsonRenderer
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.import_progress import import_snapshot
from tasks_app.exceptions import NotFound
from tasks_app.exchange.header import Layout
from tasks_app.exchange.upload import Upload
from tasks_app.models import ImportFormat, ImportJob, ImportState
from tasks_app.queries.snapshot import snapshot_at_head


class ImportSerializer(serializers.Serializer[Any]):
    """A file of tasks, on its way into the workspace."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=ImportState.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why it failed or was cancelled.")
    format = serializers.ChoiceField(choices=ImportFormat.choices)
    filename = serializers.CharField(allow_blank=True)
    dry_run = serializers.BooleanField(help_text="Rows are judged, and nothing is written.")
    total = serializers.IntegerField(allow_null=True, help_text="Rows; null until counted.")
    done = serializers.IntegerField(help_text="Rows taken: created, updated and unchanged.")
    failed = serializers.IntegerField(help_text="Rows with something wrong.")
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class RowErrorSerializer(serializers.Serializer[Any]):
    """One thing wrong with one row."""

    row = serializers.IntegerField(help_text="1 is the first after the header.")
    line = serializers.IntegerField(help_text="Of the file, where the row begins.")
    pointer = serializers.CharField(allow_blank=True, help_text="RFC 6901, into the row.")
    code = serializers.CharField()
    detail = serializers.CharField()


# `errors` is a serializer's own name: the field is told to it by a dictionary.
ImportDetailSerializer: Final = cast(
    "type[serializers.Serializer[Any]]",
    type(
        "ImportDetailSerializer",
        (ImportSerializer,),
        {
            "__doc__": "An import, and the first 1,000 things that are wrong with its rows.",
            "get_fields": lambda self: {
                **ImportSerializer.get_fields(self),
                "errors": RowErrorSerializer(many=True),
            },
        },
    ),
)

FILTERS: Final = (filters.words("state", ImportState.values, filters.within("state")),)
ORDERINGS: Final[Orderings] = {"id": "id"}
ImportPage: Final = page_of(ImportSerializer)
FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "format": {"type": "string", "enum": ImportFormat.values},
        "delimiter": {"type": "string"},
        "dry_run": {"type": "boolean"},
    },
}


class ImportView(WorkspaceView):
    """Import files of tasks; watch and cancel that."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.IMPORT,
        "cancel": Capability.IMPORT,
    }

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Leave a file to the view: whoever looks for a CSRF token would read all of it."""
        made = super().initialize_request(request, *args, **kwargs)
        if self._takes_a_file(request):
            unread = cast("Any", made)
            unread._data = unread._full_data = QueryDict()
            unread._files = MultiValueDict()
        return made

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Answer a file with JSON: a page with forms would want to show what was sent."""
        if self._takes_a_file(request._request):
            return JsonRenderer(), JsonRenderer.media_type
        return super().perform_content_negotiation(request, force)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check rights; a file's idempotency key is heeded once the file is here."""
        if self._takes_a_file(request._request):
            ViewSet.initial(self, request, *args, **kwargs)
        else:
            super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="imports_create",
        tags=["imports"],
        request={
            "text/csv": OpenApiTypes.BINARY,
            "application/x-ndjson": OpenApiTypes.BINARY,
            "multipart/form-data": FORM,
        },
        parameters=[
            OpenApiParameter("format", str, enum=ImportFormat.values),
            OpenApiParameter("delimiter", str, description="One of , ; | and tab; else found out."),
            OpenApiParameter("dry_run", bool, description="Judge rows, and write nothing."),
        ],
        responses={202: ImportDetailSerializer, 413: None, 415: None, 429: None},
    )
    def create(self, request: Request) -> HttpResponseBase:
        """Take a file of up to 100 MiB, CSV or NDJSON, and import it in the background.

        A row whose `external_id` is known changes that task, by the columns that it has; any other
        row is a new task. Rows with something wrong are listed, the others go on.
        """
        key, given = idempotency_key(request), asked_of(request)
        upload = Upload(workspace_id=self.workspace_id, cause=self.cause)
        try:
            receive(request, given, upload)
            return self._begin_once(request, key, given, upload)
        finally:
            upload.drop()  # only what nothing has begun with

    @documented("imports_list", ImportPage, parameters=filters.parameters(FILTERS))
    def list(self, request: Request) -> Response:
        """List imports, newest first."""
        kept = filters.filtered(request, FILTERS)
        rows = ImportJob.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(request, rows, orderings=ORDERINGS, default="-id")
        return listed(found, [import_snapshot(row) for row in found.rows], head)

    @documented("imports_retrieve", ImportDetailSerializer)
    def retrieve(self, request: Request, import_id: UUID) -> Response:
        """Show an import, and what is wrong with its rows."""
        rows = ImportJob.objects.in_workspace(self.workspace_id)
        with snapshot_at_head(self.workspace_id) as head:
            job = rows.filter(pk=import_id).first()
            if job is None:
                raise NotFound
            told = _told(job)
        return shown(told, head)

    @documented(
        "imports_cancel",
        ImportDetailSerializer,
        cursor=False,
        conflict="It is over.",
    )
    def cancel(self, request: Request, import_id: UUID) -> Response:
        """Take no more rows; those that were taken stay. 409 where it is over."""
        NOTHING.read(request.data)
        job = cancel_import(workspace_id=self.workspace_id, import_id=import_id, cause=self.cause)
        return Response(_told(job))

    def _takes_a_file(self, request: HttpRequest) -> bool:
        actions: dict[str, str] = getattr(self, "action_map", None) or {}
        return request.method == "POST" and actions.get("post") == "create"

    def _begin_once(
        self, request: Request, key: str | None, given: Given, upload: Upload
    ) -> HttpResponseBase:
        """Begin; for a key that was used, repeat what was answered then."""
        layout = given.layout(upload.first)
        begin = partial(self._begin, given=given, layout=layout, upload=upload)
        if key is None:
            return begin(request)
        marks = repr((given.file_format, given.is_dry, layout.delimiter)).encode() + upload.digest
        once = answered_once(
            self,
            begin,
            key=key,
            shows_secret=False,
            fingerprint=lambda asked: hashlib.sha256(asked.path.encode() + marks).digest(),
        )
        return once(request)

    def _begin(self, request: Request, *, given: Given, layout: Layout, upload: Upload) -> Response:
        job = begin_import(
            job_id=upload.job_id,
            file_format=given.file_format,
            filename=given.filename,
            dry_run=given.is_dry,
            delimiter=layout.delimiter,
            columns=layout.columns,
            start=layout.start,
            lines=layout.lines,
            cause=self.cause,
        )
        location = request.build_absolute_uri(f"/api/v1/imports/{job.pk}/")
        return Response(_told(job), status=202, headers={"Location": location})


def _told(job: ImportJob) -> dict[str, Any]:
    faults = job.faults.order_by("id").values("row", "line", "pointer", "code", "detail")
    return {**import_snapshot(job), "errors": list(faults)}
