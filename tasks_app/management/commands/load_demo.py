"""`manage.py load_demo`: the demo workspace, made where missing and else left alone."""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models import QuerySet

from tasks_app.actions.destination import change_destination, create_destination
from tasks_app.actions.workspace import create_workspace
from tasks_app.events.cause import system
from tasks_app.models import ApiKey, Destination, Membership, Scope, Workspace
from tasks_app.security.api_keys import digest, prefix

NAME = "demo"
LOCK = 0x64656D6F  # "demo": two commands at once make one workspace


class Command(BaseCommand):
    """Load the demo workspace, login demo/demo, key dev-secret-token."""

    help = "Load the demo workspace (login demo/demo, key dev-secret-token); safe to repeat."

    @transaction.atomic
    def handle(self, *_args: Any, **_options: Any) -> None:
        """Make what is missing. Raises CommandError where demo credentials are not allowed."""
        if not settings.DEMO_ALLOWED:
            raise CommandError(
                "The demo's login and key are known to everybody: DEMO_ALLOWED=true permits them."
            )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        self._set_aside(Workspace.objects.filter(slug=NAME, deleted_at__isnull=False))
        workspace = Workspace.objects.filter(slug=NAME).first() or self._workspace()
        self._key(workspace)
        for name, path in (("Echo", "/post"), ("Flaky", "/flaky/30")):
            self._destination(workspace, name, path)
        self.stdout.write(f"Workspace {NAME}: login {NAME}/{NAME}, key {settings.DEMO_API_KEY}")

    def _set_aside(self, ended: QuerySet[Workspace]) -> None:
        """Let one that was deleted, and is not erased yet, keep neither name nor key."""
        for workspace in ended:
            ApiKey.objects.filter(digest=digest(settings.DEMO_API_KEY)).delete()
            ended.filter(pk=workspace.pk).update(slug=f"{NAME}-{workspace.pk.hex}")

    def _workspace(self) -> Workspace:
        user = User.objects.filter(username=NAME).first()
        user = user or User.objects.create_superuser(NAME, "demo@example.org", NAME)
        return create_workspace(slug=NAME, name="Demo", owner=user)

    def _key(self, workspace: Workspace) -> None:
        plain = settings.DEMO_API_KEY
        membership = Membership.objects.get(workspace=workspace, user__username=NAME)
        ApiKey.objects.get_or_create(
            digest=digest(plain),
            defaults={
                "membership": membership,
                "name": "Demo",
                "prefix": prefix(plain),
                "scope": Scope.ADMIN,
                "requests_per_minute": 0,
            },
        )

    def _destination(self, workspace: Workspace, name: str, path: str) -> None:
        """Make it, or let it follow the sandbox to another port; leave what somebody changed."""
        url = f"http://127.0.0.1:{settings.SANDBOX_PORT}{path}"
        cause, rows = system("load_demo"), Destination.objects.in_workspace(workspace.pk)
        known = rows.filter(name=name).first()
        fields = {"name": name, "url": url}
        if known is None:
            create_destination(
                workspace_id=workspace.pk,
                fields=fields,
                cause=cause,
                secret=settings.DEMO_WEBHOOK_SECRET,
            )
        elif re.fullmatch(rf"http://127\.0\.0\.1:\d+{path}", known.url):
            change_destination(
                workspace_id=workspace.pk, destination_id=known.pk, fields=fields, cause=cause
            )
