"""One structured line an occurrence, each with the id of the request it belongs to."""

import io
import re
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import ExcInfo

from tasks_app.observability import request_id


def add_request_id(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Put the current request's id on the line, where there is one."""
    if current := request_id.current.get():
        line.setdefault("request_id", current)
    return line


def drop_request(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take Django's request off the line: it shows the query, which no line may."""
    line.pop("request", None)
    return line


# PostgreSQL tells the whole row that it refused, over several lines where its texts have several,
# and a row holds what no log may show.
_ROW: Final = re.compile(r"(DETAIL: ).*?(?=\n\nThe above |\n\nDuring handling |\Z)", re.DOTALL)


def without_rows(text: str) -> str:
    """Return an error's text without the details that the database adds to it."""
    return _ROW.sub(r"\1left out of the log", text)


def leave_rows_out(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take rows that the database refused off the line, wherever an error was written into it."""
    told = {name: value for name, value in line.items() if isinstance(value, str)}
    line.update((name, without_rows(value)) for name, value in told.items() if "DETAIL" in value)
    return line


def _plain(out: TextIO, exc_info: ExcInfo) -> None:
    """Write a plain traceback: the pretty one prints local variables, and with them secrets."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    out.write(without_rows(text.getvalue()))


def _shared() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        drop_request,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
        leave_rows_out,
    ]


def _renderer(*, as_json: bool) -> list[Any]:
    if as_json:
        json = structlog.processors.JSONRenderer()
        return [structlog.processors.format_exc_info, leave_rows_out, json]
    console = structlog.dev.ConsoleRenderer(
        colors=False, sort_keys=False, pad_event_to=0, exception_formatter=_plain
    )
    return [console]


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """Return the ``dictConfig`` that sends every logger through structlog to stderr."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared(),
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderer(as_json=as_json),
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            "axes": {"level": "WARNING"},  # it tells of every login in four lines
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
        },
    }
