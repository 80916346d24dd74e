"""Every operation of the schema, asked with what fits it and with what does not.

Whatever is sent: no 5xx, and the answer is one that the schema tells of. The cases are the same in
every run; SCHEMA_EXAMPLES=200 asks that many of each operation, and SCHEMA_SEED=7 others.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.conf import settings
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection, transaction
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tasks_app.api.whole_body import with_whole_bodies
from tests.integration.rights import world
from tests.support import factories
from tests.support.callers import api_key

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "8"))
SEED = int(os.environ.get("SCHEMA_SEED", "1"))
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(240 + 60 * EXAMPLES)]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
FROM_OTHERS = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


@contextmanager
def undone() -> Iterator[None]:
    """Let nothing of a case stay, and keep the test's connection, as Django's own client does."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    here = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(here)
        for signal in (signals.request_started, signals.request_finished):
            signal.connect(close_old_connections)


Seen = Counter[tuple[str, int]]


@pytest.fixture
def schema(db: None) -> Any:
    application = with_whole_bodies(get_wsgi_application(), limit=FROM_OTHERS)
    with connection.cursor() as cursor:  # making up cases may take longer than a transaction may
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    with undone():
        return schemathesis.openapi.from_wsgi("/api/schema/", application)


@pytest.fixture
def alices(db: None) -> world.World:
    return world.build()


@pytest.fixture
def key(alices: world.World) -> str:
    """Return an owner's key, without limit."""
    owner = factories.member(alices.workspace, role="owner")
    return api_key(owner, requests_per_minute=0)[0]


def operations(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        yield found.ok()


def cases(operation: Any) -> Any:
    """Mix what fits the schema with what does not."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    return st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_no_operation_fails_and_all_answers_are_as_the_schema_tells(
    schema: Any, alices: world.World, key: str
) -> None:
    wrong: list[str] = []
    seen: Seen = Counter()
    for operation in operations(schema):
        try:
            _fuzz(operation, alices, key, seen)
        except BaseExceptionGroup as failures:
            wrong += [f"{operation.label}: {one}" for one in failures.exceptions]
        except AssertionError as failure:
            wrong.append(f"{operation.label}: {failure}")
    let_through = {label for label, status in seen if status < 300}
    assert len(let_through) > 0.7 * len({label for label, _ in seen})  # not at the door already
    assert not wrong, "\n\n".join(wrong)


def _fuzz(operation: Any, alices: world.World, key: str, seen: Seen) -> None:
    @seed(SEED)
    @run_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=True,
    )
    @given(case=cases(operation))
    def ask(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in alices.ids and len(str(case.path_parameters[name])) % 2 == 0:
                case.path_parameters[name] = alices.ids[name]
        with undone():
            answer = case.call(headers={"Authorization": f"Bearer {key}"})
            seen[operation.label, answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

    ask()
