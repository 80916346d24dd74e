"""`manage.py stream`: the process that carries WebSockets and event streams."""

import gc
from argparse import ArgumentParser
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from tasks_app.observability.metric_report import report_as

#: By name, since importing Daphne installs Twisted's reactor in the process.
SERVERS = {
    "uvicorn": "realtime.servers.uvicorn_server.serve_by_uvicorn",
    "daphne": "realtime.servers.daphne_server.serve_by_daphne",
}


class Command(BaseCommand):
    """Serve the ASGI application with a server that counts, drains and says goodbye."""

    help = "Serve /ws/tasks, /api/v1/events/stream and /stream/readyz."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an address and a server."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8002)
        parser.add_argument("--server", choices=tuple(SERVERS), default=settings.STREAM_SERVER)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Serve until SIGTERM."""
        serve, application = import_string(SERVERS[options["server"]]), get_default_application()
        report_as("stream").start()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: no full collection need hold up the hub for it
        serve(
            application,
            host=options["host"],
            port=options["port"],
            frame_bytes=settings.STREAM_FRAME_BYTES,
        )
