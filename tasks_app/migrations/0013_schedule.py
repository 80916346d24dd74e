"""Recurring tasks."""

from django.db import migrations


class Migration(migrations.Migration):
    """Recurring tasks."""

    dependencies = [("tasks_app", "0012_admin")]
    operations: list[migrations.operations.base.Operation] = []
