"""Idempotency keys."""

from django.db import migrations


class Migration(migrations.Migration):
    """Idempotency keys."""

    dependencies = [("tasks_app", "0008_latest")]
    operations: list[migrations.operations.base.Operation] = []
