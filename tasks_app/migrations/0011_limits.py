"""Limits."""

from django.db import migrations


class Migration(migrations.Migration):
    """Limits."""

    dependencies = [("tasks_app", "0010_people")]
    operations: list[migrations.operations.base.Operation] = []
