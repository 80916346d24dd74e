"""`manage.py doctor`: what works, what does not, what to do; exit code 1 where something fails."""

import json
import sys
from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from config.doctor.finding import Finding, Level
from config.doctor.look import look

COLOURS: Final = {Level.OK: "SUCCESS", Level.WARN: "WARNING", Level.FAIL: "ERROR"}


class Command(BaseCommand):
    """Look at everything; change nothing; show no secret."""

    help = "Check settings, servers, processes, keys and backlog, and say what to do."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the form of the answer, and the address of api and stream."""
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument(
            "--url", default=settings.PUBLIC_URL, help="where the proxy answers (PUBLIC_URL)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Tell each finding as soon as it is there. Exits with 1 where one is a failure."""
        found: list[Finding] = []
        for finding in look(url=options["url"].rstrip("/")):
            found.append(finding)
            if not options["json"]:
                self._tell(finding)
        failed = any(finding.level is Level.FAIL for finding in found)
        if options["json"]:
            told = [_fields(finding) for finding in found]
            self.stdout.write(json.dumps({"ok": not failed, "findings": told}, indent=1))
        if failed:
            sys.exit(1)

    def _tell(self, finding: Finding) -> None:
        paint = getattr(self.style, COLOURS[finding.level])
        self.stdout.write(f"{paint(finding.level.name.ljust(4))}  {finding.check}: {finding.said}")
        if finding.advice:
            self.stdout.write(f"      → {finding.advice}")


def _fields(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level.name,
        "check": finding.check,
        "said": finding.said,
        "advice": finding.advice,
    }
