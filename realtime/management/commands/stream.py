"""`manage.py stream`: the process that carries WebSockets and event streams."""

from argparse import ArgumentParser
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Serve the ASGI application with a server that counts, drains and says goodbye."""

    help = "Serve /ws/tasks, /api/v1/events/stream and /stream/readyz."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an address and a server."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8002)
        parser.add_argument(
            "--server", choices=("uvicorn", "daphne"), default=settings.STREAM_SERVER
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Serve until SIGTERM."""
        if options["server"] == "daphne":
            from realtime.servers.daphne_server import serve_by_daphne as serve  # noqa: PLC0415
        else:
            from realtime.servers.uvicorn_server import serve_by_uvicorn as serve  # noqa: PLC0415
        serve(
            get_default_application(),
            host=options["host"],
            port=options["port"],
            frame_bytes=settings.STREAM_FRAME_BYTES,
        )
