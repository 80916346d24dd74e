"""One structured line an occurrence, each with the id of the request it belongs to."""

from collections.abc import MutableMapping
from typing import Any

import structlog

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


def _shared() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        drop_request,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
    ]


def _renderer(*, as_json: bool) -> list[Any]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # A plain traceback: the pretty one prints local variables, and with them secrets.
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(
        colors=False, sort_keys=False, pad_event_to=0, exception_formatter=plain
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
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
        },
    }
