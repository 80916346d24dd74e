"""`manage.py rotate_encryption_key`: seal all with the first of ENCRYPTION_KEYS; safe to repeat."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tasks_app.actions.reseal import BATCH, reseal


class Command(BaseCommand):
    """Prepare the retirement of every key but the first."""

    help = "Seal every secret again with the first of ENCRYPTION_KEYS; safe while workers run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the size of a batch."""
        parser.add_argument("--batch", type=int, default=BATCH, help="destinations at a time")

    def handle(self, *_args: Any, batch: int, **_options: Any) -> None:
        """Seal anew. Raises CommandError where something does not open: keep the old keys then."""
        done = reseal(batch=max(batch, 1))
        self.stdout.write(f"Sealed {done.values} values anew.")
        if done.unreadable:
            listed = ", ".join(map(str, done.unreadable))
            raise CommandError(f"Keep every key: these destinations do not open: {listed}")
