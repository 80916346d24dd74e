"""Indexes that the admin's lists need."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes that the admin's lists need."""

    dependencies = [("tasks_app", "0011_limits")]
    operations: list[migrations.operations.base.Operation] = [
        migrations.AlterModelOptions(
            name="delivery", options={"verbose_name_plural": "deliveries"}
        ),
        migrations.AlterModelOptions(name="apikey", options={"verbose_name": "API key"}),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state__in", ["dead", "cancelled", "superseded"])),
                fields=["workspace_id", "state", "-id"],
                name="delivery_ended_badly",
            ),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(fields=["role", "-id"], name="membership_by_role"),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(
                fields=["workspace", "role", "-id"], name="membership_by_role_here"
            ),
        ),
        migrations.AddIndex(
            model_name="destination",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass("name", name="varchar_pattern_ops"),
                name="destination_name_begins",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("title", config="simple"),
                name="task_title_words",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("priority", "normal"), _negated=True),
                fields=["workspace", "priority", "-created_at", "-id"],
                name="task_by_priority",
            ),
        ),
        migrations.RunSQL(
            "CREATE INDEX user_staff ON auth_user (id) WHERE is_staff", "DROP INDEX user_staff"
        ),
    ]
