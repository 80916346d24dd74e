"""JSON in and out: bodies are bounded and read strictly, answers are written by orjson."""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson
from django.conf import settings
from django.http import UnreadablePostError
from django.http.request import HttpRequest
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tasks_app.api.json_input import read_json
from tasks_app.exceptions import Invalid, TooLarge

CHARSETS: Final = {"", "utf-8", "utf8"}


class JsonRenderer(BaseRenderer):
    """Writes JSON; an answer without content stays empty."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return UTF-8."""
        return b"" if data is None else orjson.dumps(data)


class StrictJsonParser(BaseParser):
    """Reads at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes of JSON (RFC 8259: UTF-8)."""

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document. Raises TooLarge, Invalid and UnsupportedMediaType."""
        request = cast("Request", (parser_context or {})["request"])._request
        if (request.content_params or {}).get("charset", "").lower() not in CHARSETS:
            raise UnsupportedMediaType(media_type or "")
        return read_json(_bounded(stream, request))


def _bounded(stream: Any, request: HttpRequest) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if int(announced) > limit:
        raise TooLarge(f"A body has at most {limit} bytes.")
    try:
        body = cast("bytes", stream.read(limit + 1))
    except UnreadablePostError as error:
        raise Invalid("The body ended early.") from error
    if len(body) > limit:
        raise TooLarge(f"A body has at most {limit} bytes.")
    if len(body) < int(announced):
        raise Invalid("The body ended early.")
    return body
