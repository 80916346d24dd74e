"""The export: `/api/v1/tasks/export/`. `stream` serves it, where a waiting client costs no thread.

Refusals come before the first byte. After it, what goes wrong cuts the connection: the last chunk
of the answer (RFC 9112 §7.1) is never sent, so nobody takes a part of a file for the whole.
"""

import logging
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, cast

from channels.db import database_sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tasks_app.access import Capability
from tasks_app.api import filters
from tasks_app.api.export_places import Place, take_place
from tasks_app.api.pagination import PARAMETERS, refused
from tasks_app.api.rendering import JsonRenderer
from tasks_app.api.schema import STREAM_CURSOR
from tasks_app.api.task import FILTERS
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.exchange.pages import Pages, begin
from tasks_app.exchange.written import MEDIA_TYPES, head_of, lines_of, pieces_of
from tasks_app.models import ImportFormat

logger = logging.getLogger(__name__)

THREADS: Final = 2  # of a process: exports read beside each other, never instead of the stream
FORMAT: Final = filters.words("format", ImportFormat.values, lambda _: Q())
NO_PAGES: Final = PARAMETERS - {"workspace"}


class ExportView(WorkspaceView):
    """Stream all tasks that a filter finds."""

    capabilities = {"retrieve": Capability.EXPORT}

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Whatever Accept says: `format` chooses the file, and a refusal is a problem."""
        return JsonRenderer(), JsonRenderer.media_type

    @extend_schema(
        operation_id="tasks_export",
        tags=["tasks"],
        parameters=[
            OpenApiParameter("format", str, enum=ImportFormat.values, default="csv"),
            *(one for one in filters.parameters(FILTERS) if one.name not in NO_PAGES),
            STREAM_CURSOR,
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            429: None,
        },
    )
    def retrieve(self, request: Request) -> StreamingHttpResponse:
        """Stream tasks as a file, oldest first, any number of them.

        An answer that breaks off is cut, never ended. Cells that a spreadsheet would run as
        formulas begin with an apostrophe, which an import takes away again.
        """
        kept, file_format = _asked(request)
        place = take_place(self.workspace_id)
        pages = begin(self.workspace_id, kept)
        is_async = isinstance(request._request, ASGIRequest)
        if request.method == "HEAD":
            place.leave()
            body: Any = []
        else:
            write = _written_aside if is_async else _written
            body = write(pages, file_format, place)
        name = f"tasks-{timezone.now():%Y%m%dT%H%M%SZ}.{file_format}"
        headers = {
            "Stream-Cursor": str(pages.head),
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
        kind = MEDIA_TYPES[file_format]
        response: Any = StreamingHttpResponse(body, headers=headers, content_type=kind)
        response._resource_closers.append(place.leave)  # also of one that nobody begins to read
        return cast("StreamingHttpResponse", response)


def _asked(request: Request) -> tuple[Q, str]:
    """Return the filter and the format. Raises Invalid."""
    for name in request.query_params:
        if name in NO_PAGES:
            raise refused(name, "unknown_parameter", "An export has no pages and one order.")
    kept = filters.filtered(request, (*FILTERS, FORMAT))
    given = request.query_params.getlist("format") or [ImportFormat.CSV.value]
    if len(given) > 1:
        raise refused("format", "repeated", "There is one format.")
    return kept, given[0]


def _written(pages: Pages, file_format: str, place: Place) -> Iterator[bytes]:
    """Write all of it, for a server that reads in a thread of its own (WSGI)."""
    with place:
        yield head_of(file_format)
        for tasks in pages:
            yield from pieces_of(lines_of(tasks, file_format))


async def _written_aside(pages: Pages, file_format: str, place: Place) -> AsyncIterator[bytes]:
    """Write page by page, each read by a thread beside the loop, once the last was taken."""
    began, rows, is_whole = time.monotonic(), 0, False
    pending = iter(pages)
    with place:
        try:
            yield head_of(file_format)
            while (page := await _aside(_next, pending, file_format)) is not None:
                rows += page[0]
                for piece in pieces_of(page[1]):
                    yield piece
            is_whole = True
        finally:
            seconds = round(time.monotonic() - began, 3)
            told = {"rows": rows, "whole": is_whole, "seconds": seconds, "format": file_format}
            logger.info("export_ended", extra=told)


def _next(pending: Iterator[Any], file_format: str) -> tuple[int, bytes] | None:
    page = next(pending, None)
    return None if page is None else (len(page), lines_of(page, file_format))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="export")


async def _aside(work: Any, *arguments: Any) -> Any:
    hop = database_sync_to_async(work, thread_sensitive=False, executor=_threads())
    return await hop(*arguments)
