"""The schema is complete: valid, without warnings, and every route and refusal is in it."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tasks_app.api import urls


@pytest.fixture(scope="module")
def document() -> Any:
    generator: Any = SchemaGenerator
    return generator().get_schema(request=None, public=True)


def test_the_schema_is_valid_and_without_warnings(tmp_path: Path) -> None:
    out = tmp_path / "schema.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(out))
    assert out.stat().st_size > 10_000


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_of_the_api_is_in_it(document: Any) -> None:
    patterns: Any = urls.urlpatterns
    routes = {
        (re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v1/{route.pattern}"), method)
        for route in patterns
        for method in route.callback.actions
        if method != "head"
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_every_operation_tells_its_refusals_its_credentials_and_its_id(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"].keys() == {"apiKey", "session"}
    seen = set()
    for path, _, operation in operations(document):
        assert {"400", "401", "403", "404", "default"} <= operation["responses"].keys(), path
        for status, answer in operation["responses"].items():
            refusal = status == "default" or status >= "400"
            assert ("application/problem+json" in answer.get("content", {})) == refusal, path
        assert operation["security"], path
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])


def test_lists_document_their_filters(document: Any) -> None:
    told = {p["name"] for p in document["paths"]["/api/v1/tasks/"]["get"]["parameters"]}
    filters = {"status", "priority", "assignee", "label", "sync", "external_id", "search"}
    times = {"created_after", "created_before", "updated_after", "updated_before", "due_before"}
    assert filters | times | {"limit", "cursor", "ordering"} <= told


def test_the_schema_and_its_offline_page_need_no_login() -> None:
    client = Client()
    assert client.get("/api/schema/").json()["info"]["title"] == "Aftercommit"
    page = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page.replace("https://www.w3.org", "")
