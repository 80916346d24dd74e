"""Destinations of mode latest, and retention."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql" / "0008_latest.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0007_replay")]

    operations = [
        migrations.AddField(
            model_name="delivery", name="superseded_by", field=models.UUIDField(null=True)
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(mode__in=["every", "latest"]), name="destination_mode_known"
            ),
        ),
        migrations.AddIndex(
            model_name="destination",
            index=models.Index(
                condition=models.Q(deleted_at__isnull=False),
                fields=["deleted_at"],
                name="destination_deleted",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(state="pending"),
                fields=["next_attempt_at"],
                name="delivery_due_longest",
            ),
        ),
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION aftercommit_supersede(uuid[], uuid[]);",
        ),
    ]
