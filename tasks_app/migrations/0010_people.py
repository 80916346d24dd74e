"""Invitations and password resets."""

from django.db import migrations


class Migration(migrations.Migration):
    """Invitations and password resets."""

    dependencies = [("tasks_app", "0009_idempotency")]
    operations: list[migrations.operations.base.Operation] = []
