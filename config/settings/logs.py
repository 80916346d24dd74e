"""Logs: one structured line an occurrence, with the request's id; text for people, or JSON."""

from config.env import env
from tasks_app.observability.logs import logging_config

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_config(
    level=env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    as_json=env.choice("LOG_FORMAT", "text", ("text", "json")) == "json",
)
