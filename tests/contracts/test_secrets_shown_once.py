"""What shows a secret says so, by name: its answer is never kept for an idempotency key."""

import re
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from tasks_app.api import urls

SECRETS = {"secret", "ticket", "key", "token", "password"}


def shown(document: Any, operation: Any) -> set[str]:
    """Return the names of the members that an operation's answers have."""
    names: set[str] = set()
    schemas = document["components"]["schemas"]
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values() if status[0] == "2" else ():
            reference = content["schema"].get("$ref", "").rpartition("/")[2]
            names |= schemas.get(reference, {}).get("properties", {}).keys()
    return names


def test_every_answer_that_shows_a_secret_is_known_to_be_one() -> None:
    generator: Any = SchemaGenerator
    document = generator().get_schema(request=None, public=True)
    patterns: Any = urls.urlpatterns
    found = set()
    for route in patterns:
        path = re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v1/{route.pattern}")
        for method, action in route.callback.actions.items():
            operation = document["paths"].get(path, {}).get(method)
            if operation is None or method == "get":
                continue
            secret = bool(shown(document, operation) & SECRETS)
            assert secret == (action in route.callback.cls.shows_secret), (path, method)
            found |= {path} if secret else set()
    assert len(found) >= 4
