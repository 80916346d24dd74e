"""Destinations of mode latest, and retention."""

from django.db import migrations


class Migration(migrations.Migration):
    """Destinations of mode latest, and retention."""

    dependencies = [("tasks_app", "0007_replay")]
    operations: list[migrations.operations.base.Operation] = []
