"""`manage.py prepare`: what `make up` does between its servers and its processes."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """In one process: starting Django three times would cost more than the work."""

    help = "Bring the schema up to date, load the demo, collect the static files."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Do all three; each does nothing where there is nothing to do."""
        call_command("migrate", verbosity=0, interactive=False)
        call_command("load_demo")
        call_command("collectstatic", verbosity=0, interactive=False)
