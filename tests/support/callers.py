"""Callers of the API through Django's whole stack: by key or by login, each answer checked.

Whatever is refused must be a problem (RFC 9457) and say so in its media type; a caller that is
not told otherwise checks that on every answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from django.test import Client

from tasks_app.models import ApiKey, Membership, Role, Scope, Workspace
from tasks_app.security.api_keys import new_api_key
from tests.support import factories

ROOT = "/api/v1/"
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """Return the JSON."""
        return json.loads(self.raw)

    @property
    def pointers(self) -> list[tuple[str, str]]:
        """Return pointer and code of each error."""
        return [(error["pointer"], error["code"]) for error in self.body.get("errors", [])]


@dataclass
class Caller:
    """Speaks JSON; ``headers`` go with every request."""

    headers: dict[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] = NONE,
    ) -> Answer:
        """Send one request; ``raw`` goes as it is, ``body`` as JSON."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = self.headers | {name.replace("_", "-"): v for name, v in headers.items()}
        address = path if path.startswith(("/", "http")) else ROOT + path
        response = self.client.generic(
            method, address, data, content_type=content_type, headers=given
        )
        answer = Answer(response.status_code, dict(response.headers), response.getvalue())
        check_problem(answer)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self.call("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Create or act."""
        return self.call("POST", path, body, headers=headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Replace."""
        return self.call("PUT", path, body, headers=headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Change."""
        return self.call("PATCH", path, body, headers=headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """Delete."""
        return self.call("DELETE", path, headers=headers)


def check_problem(answer: Answer) -> None:
    """Check that a refusal is a problem with all its members."""
    if answer.status < 400:
        return
    assert answer.headers["Content-Type"] == "application/problem+json", answer.raw
    problem = answer.body
    assert problem["status"] == answer.status
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert problem["detail"]
    for error in problem.get("errors", []):
        assert error.keys() == {"pointer", "code", "detail"}
        assert error["detail"]


def api_key(member: Membership, scope: str = Scope.ADMIN, **fields: Any) -> tuple[str, ApiKey]:
    """Return a new key in plain, and its row."""
    plain, prefix, digest = new_api_key()
    row = ApiKey.objects.create(
        membership=member, name="test", prefix=prefix, digest=digest, scope=scope, **fields
    )
    return plain, row


def caller(of: Workspace, *, role: str = Role.OWNER, scope: str = Scope.ADMIN) -> Caller:
    """Return somebody with a key of this scope and this role in the workspace."""
    member = factories.member(of, role=role)
    return Caller({"Authorization": f"Bearer {api_key(member, scope)[0]}"})
