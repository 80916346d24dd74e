"""A rate limit of a key's own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Null: as all keys; 0: without limit, as the demo's."""

    dependencies = [("tasks_app", "0010_people")]
    operations: list[migrations.operations.base.Operation] = [
        migrations.AddField(
            "apikey", "requests_per_minute", models.PositiveIntegerField(null=True, blank=True)
        ),
    ]
