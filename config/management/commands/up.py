"""`manage.py up`: everything, behind one address, until Ctrl-C."""

from typing import Any

from django.core.management.base import BaseCommand

from config.supervisor.launch import run


class Command(BaseCommand):
    """Thin: the work is config.supervisor's."""

    help = "Start everything behind one address and keep it running until Ctrl-C."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Run until told to stop; ends with code 1 where the start fails."""
        raise SystemExit(run())
