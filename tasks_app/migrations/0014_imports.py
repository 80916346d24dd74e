"""Imports."""

from django.db import migrations


class Migration(migrations.Migration):
    """Imports."""

    dependencies = [("tasks_app", "0013_schedule")]
    operations: list[migrations.operations.base.Operation] = []
