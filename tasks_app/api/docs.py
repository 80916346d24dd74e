"""The schema at `/api/schema/` and its offline UI at `/api/docs/`; made once a process."""

from functools import cache
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerView


@cache
def _schema() -> bytes:
    generator: Any = SchemaGenerator
    document = generator().get_schema(request=None, public=True)
    return orjson.dumps(document)


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Answer with the OpenAPI 3.1 document."""
    return HttpResponse(_schema(), content_type="application/vnd.oai.openapi+json;version=3.1")


class DocsView(SpectacularSwaggerView):
    """Swagger UI from our own static files."""

    url_name = "schema"
    authentication_classes = ()
