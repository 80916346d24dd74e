"""The API as OpenAPI 3.1 tells of it: one decorator an operation, and what all have in common."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers

from tasks_app.api.errors import MEDIA_TYPE

F = TypeVar("F", bound=Callable[..., Any])
Body = type[serializers.BaseSerializer[Any]] | None

NO_MORE: Final[Mapping[int, Body]] = MappingProxyType({})
HEADER: Final = OpenApiParameter.HEADER
STREAM_CURSOR: Final = OpenApiParameter(
    "Stream-Cursor",
    str,
    HEADER,
    response=[200],
    description="`<epoch>.<seq>`: follow the stream after this, and nothing is missed.",
)
ETAG: Final = OpenApiParameter(
    "ETag", str, HEADER, response=[200, 201], description='`"<version>"`, for `If-Match`.'
)
IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, HEADER, description='`"<version>"`: refuse with 412 where it is not current.'
)

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "Ends in a stable code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Of a 429: the names of the RateLimit-Policy.",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "RFC 6901 into the body, or `?name` of a query parameter.",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
REFUSALS: Final = {
    "400": "The input is not valid.",
    "401": "No credentials, or wrong, expired or revoked ones.",
    "403": "This role or scope may not do that.",
    "404": "There is no such thing in this workspace.",
    "429": "There have been too many requests.",
}
COMMON_HEADERS: Final = {
    "X-Request-ID": "Yours if sane, else ours.",
    "RateLimit-Policy": '`"key";q=600;w=30`: so many at once, restored within so many seconds.',
    "RateLimit": '`"key";r=412;t=21`: so many are left, to be spread over so many seconds.',
}
#: The first word of an operation is its group, but for these.
GROUPS: Final = {"api": "api-keys"}


def documented(
    operation: str,
    answer: Body,
    *,
    request: Body = None,
    status: int = 200,
    parameters: Sequence[OpenApiParameter] = (),
    tag: bool = False,
    if_match: bool = False,
    example: dict[str, Any] | None = None,
    cursor: bool = True,
    conflict: str = "",
    also: Mapping[int, Body] = NO_MORE,
) -> Callable[[F], F]:
    """Describe an operation; the first line of its docstring is the summary."""
    shared = [*parameters]
    shared += [ETAG] if tag else []
    shared += [IF_MATCH] if if_match else []
    shared += [STREAM_CURSOR] if cursor and status == 200 else []
    extra = {412: OpenApiResponse(description="The task has changed since.")} if if_match else {}
    extra |= {409: OpenApiResponse(description=conflict)} if conflict else {}
    decorate: Callable[[F], F] = extend_schema(
        operation_id=operation,
        request=request,
        responses={status: answer, **also, **extra},
        parameters=shared,
        examples=[OpenApiExample("Body", value=example, request_only=True)] if example else None,
        tags=[GROUPS.get(group := operation.partition("_")[0], group)],
    )
    return decorate


def page_of(item: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the schema of a cursor page."""
    members = {
        "__doc__": "A cursor page.",
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": item(many=True),
    }
    name = f"{item.__name__.removesuffix('Serializer')}PageSerializer"
    made: type[serializers.Serializer[Any]] = type(name, (serializers.Serializer,), members)
    described: type[serializers.Serializer[Any]] = extend_schema_serializer(many=False)(made)
    return described


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """API keys."""

    target_class = "tasks_app.api.auth.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ac_…",
            "description": "A key of one member in one workspace; it decides the workspace.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Logged-in users."""

    target_class = "tasks_app.api.auth.WorkspaceSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the scheme."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "With X-CSRFToken for what writes, and X-Workspace where in several.",
        }


def tell_common_parts(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to every operation what it shares: refusals and the request's id."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in (one for one in path.values() if "responses" in one):
            _summarise(operation)
            _complete(operation["responses"], content)
    return result


def _summarise(operation: dict[str, Any]) -> None:
    """Show what an operation is for where only its summary is shown: the docstring's first line."""
    summary, _, rest = operation.pop("description", "").partition("\n")
    operation["summary"] = summary
    if rest.strip():
        operation["description"] = rest.strip()


def _complete(responses: dict[str, Any], content: dict[str, Any]) -> None:
    for status, description in REFUSALS.items():
        responses.setdefault(status, {"description": description})
    responses.setdefault("default", {"description": "Any other refusal."})
    for status, response in responses.items():
        if status == "default" or status[0] in "45":
            response["content"] = content
        headers = response.setdefault("headers", {})
        for name, description in COMMON_HEADERS.items():
            headers[name] = {"schema": {"type": "string"}, "description": description}
        if status == "429":
            headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds."}
