"""The doctor's findings, asked in this process."""

import io
import json
from typing import Any

from django.core.management import call_command


def ask(*arguments: str) -> tuple[bool, dict[str, list[dict[str, Any]]]]:
    """Return whether all is well, and the findings by check; exit code and JSON must agree."""
    out = io.StringIO()
    failed = False
    try:
        call_command("doctor", "--json", *arguments, stdout=out)
    except SystemExit as end:
        failed = end.code == 1
    told = json.loads(out.getvalue())
    assert told["ok"] is not failed
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in told["findings"]:
        assert finding["level"] == "OK" or finding["advice"], finding
        found.setdefault(finding["check"], []).append(finding)
    return not failed, found


def levels(found: dict[str, list[dict[str, Any]]], check: str) -> set[str]:
    """Return how bad a check was."""
    return {finding["level"] for finding in found[check]}


def said(found: dict[str, list[dict[str, Any]]], check: str) -> str:
    """Return all that was said of it."""
    return " | ".join(finding["said"] for finding in found[check])
