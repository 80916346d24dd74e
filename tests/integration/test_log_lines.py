"""A log line tells what went wrong, and nothing of the row that went wrong."""

import logging
import sys
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from structlog.stdlib import ProcessorFormatter

from tasks_app.models import Workspace
from tasks_app.observability.logs import logging_config, without_rows
from tests.support import factories

pytestmark = pytest.mark.django_db
PLANTED = "planted-in\n\nthe-row"


def line_of(record: logging.LogRecord, *, as_json: bool) -> str:
    options: dict[str, Any] = logging_config(level="INFO", as_json=as_json)["formatters"]["line"]
    return ProcessorFormatter(**{n: v for n, v in options.items() if n != "()"}).format(record)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("written", ["exc_info", "message", "extra"])
def test_a_row_that_the_database_refused_is_in_no_log_line(
    workspace: Workspace, as_json: bool, written: str
) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        factories.destination(workspace, name=PLANTED, state="nonsense")
    assert "planted-in" in str(refused.value)  # so it would be told
    try:
        raise RuntimeError("while saving") from refused.value
    except RuntimeError:
        caught = sys.exc_info()
    text = f"failed: {refused.value!r} {refused.value}" if written == "message" else "failed"
    exc_info = caught if written == "exc_info" else None
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, text, (), exc_info)
    if written == "extra":
        record.why = str(refused.value)
    line = line_of(record, as_json=as_json)
    assert "destination_state_known" in line
    assert "left out of the log" in line
    assert "planted" not in line
    assert "the-row" not in line
    assert written != "exc_info" or "RuntimeError: while saving" in line


def test_what_has_no_row_in_it_is_told_as_it_is() -> None:
    assert without_rows("plain\n\ntext") == "plain\n\ntext"
