"""`manage.py prepare`: what comes between the servers and the processes, at every upgrade."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    """In one process: starting Django three times would cost more than the work."""

    help = "Bring the schema up to date, load the demo where it is allowed, collect static files."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Do all three; each does nothing where there is nothing to do."""
        with connection.cursor() as cursor:
            # An index of a large table takes as long as it takes. Waiting for locks stays bounded,
            # as everybody else would wait behind us.
            cursor.execute("SET statement_timeout = 0")
        call_command("migrate", verbosity=0, interactive=False)
        if settings.DEMO_ALLOWED:
            call_command("load_demo")
        call_command("collectstatic", verbosity=0, interactive=False)
