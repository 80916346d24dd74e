"""`manage.py issue_key WORKSPACE USER`: make an API key; for people and for scripts."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tasks_app.actions.api_key import create_key
from tasks_app.events.cause import system
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import Invalid
from tasks_app.models import Membership, Scope, Workspace

MOST_DAYS: Final = 36_500


class Command(BaseCommand):
    """Make a key of a member. Only the key goes to stdout, so that a script can take it."""

    help = "Make an API key of a member; stdout has the key alone, or one line of JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whose key it is and how far it reaches."""
        parser.add_argument("workspace", help="the workspace's slug")
        parser.add_argument("user", help="the member's user name")
        parser.add_argument("--name", default="issue_key", help="what the list of keys shows")
        parser.add_argument("--scope", default=Scope.WRITE.value, choices=Scope.values)
        parser.add_argument("--days", type=int, help="how long it lives; default: until revoked")
        parser.add_argument("--json", action="store_true", help="answer as one line of JSON")

    def handle(self, *_args: Any, **given: Any) -> None:
        """Make it. Raises CommandError with a sentence, and makes none then."""
        member = _member(given["workspace"], given["user"])
        if not 0 < len(given["name"]) <= 100:
            raise CommandError("--name has 1 to 100 characters.")
        try:
            key, plain = create_key(
                membership_id=member.pk,
                name=given["name"],
                scope=given["scope"],
                expires_at=_end(given["days"]),
                cause=system("issue_key"),
            )
        except Invalid as refusal:
            raise CommandError(" ".join(error.detail for error in refusal.errors)) from refusal
        told = {
            "id": str(key.pk),
            "key": plain,
            "scope": key.scope,
            "expires_at": moment(key.expires_at),
        }
        self.stdout.write(json.dumps(told) if given["json"] else plain)


def _member(slug: str, name: str) -> Membership:
    workspace = Workspace.objects.filter(slug=slug, deleted_at=None).first()
    if workspace is None:
        raise CommandError(f"There is no workspace {slug!r}: manage.py create_workspace makes one.")
    members = Membership.objects.at_work().filter(workspace=workspace)
    member = members.filter(user__username=name).first()
    if member is None:
        raise CommandError(f"There is no active member {name!r} of {slug}.")
    return member


def _end(days: int | None) -> Any:
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise CommandError(f"--days must lie within 1 and {MOST_DAYS}.")
    return timezone.now() + timedelta(days=days)
