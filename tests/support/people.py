"""`python -m tests.support.people SLUG`: one new member of each role; prints their keys as JSON."""

import json
import os
import secrets
import sys

import django
from django.apps import apps

from tasks_app.security.api_keys import new_api_key


def main(slug: str) -> None:
    """Make a user, a membership and an admin key for each role."""
    django.setup()
    # The models exist only from here on.
    users = apps.get_model("auth", "User")
    memberships = apps.get_model("tasks_app", "Membership")
    keys = apps.get_model("tasks_app", "ApiKey")
    workspace = apps.get_model("tasks_app", "Workspace").objects.get(slug=slug)
    made = {}
    for role in ("viewer", "member", "admin", "owner"):
        user = users.objects.create_user(f"{role}-{secrets.token_hex(4)}")
        member = memberships.objects.create(workspace=workspace, user=user, role=role)
        made[role], prefix, digest = new_api_key()
        keys.objects.create(
            membership=member, name="test", prefix=prefix, digest=digest, scope="admin"
        )
    print(json.dumps(made))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    main(sys.argv[1])
