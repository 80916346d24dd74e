"""``python -m tests.benchmarks.workspaces TOKEN …``: a workspace with two destinations for each."""

import os
import sys

import django


def main(tokens: list[str]) -> None:
    """Make them; each token is an admin key of the workspace's owner."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    from tasks_app.models import ApiKey, Membership, Scope  # noqa: PLC0415 - after setup
    from tasks_app.security.api_keys import digest, prefix  # noqa: PLC0415
    from tests.support import factories  # noqa: PLC0415

    for token in tokens:
        workspace = factories.workspace()
        for _ in range(2):
            factories.destination(workspace)
        ApiKey.objects.create(
            membership=Membership.objects.get(workspace=workspace),
            name=token,
            digest=digest(token),
            prefix=prefix(token),
            scope=Scope.ADMIN,
            requests_per_minute=60_000_000,  # counted like any, and never reached
        )


if __name__ == "__main__":
    main(sys.argv[1:])
