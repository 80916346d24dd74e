"""`manage.py sandbox`: run the sandbox receiver on loopback."""

import os
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.sandbox.app import Sandbox


class Command(BaseCommand):
    """Stands in for the outside world; it is never meant to be reached from outside."""

    help = "Run the sandbox receiver, which stands in for the outside world, on 127.0.0.1."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the port from the command line or SANDBOX_PORT."""
        parser.add_argument(
            "--port", type=int, default=os.environ.get("SANDBOX_PORT", "8001"), help="default 8001"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C; SANDBOX_SECRETS, or the demo's secret, check signatures."""
        app = Sandbox(secrets=settings.SANDBOX_SECRETS)
        self.stdout.write(f"sandbox receiver on http://127.0.0.1:{options['port']}")
        self.stdout.flush()
        uvicorn.run(
            app,
            host="127.0.0.1",
            port=options["port"],
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
