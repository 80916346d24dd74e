"""Destinations of mode latest, and retention."""

from pathlib import Path

from django.db import migrations, models

import tasks_app.models.ids

FOLDER = Path(__file__).parent / "sql"
SQL = [(FOLDER / f"0008_{name}.sql").read_text("utf-8") for name in ("latest", "retention")]


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
        migrations.CreateModel(
            name="LogFloor",
            fields=[
                ("workspace_id", models.UUIDField(primary_key=True, serialize=False)),
                ("kept_from", models.BigIntegerField(db_default=1, default=1)),
                ("erased_to", models.BigIntegerField(db_default=0, default=0)),
            ],
            options={
                "db_table": "log_floor",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(erased_to__lt=models.F("kept_from")),
                        name="log_floor_keeps_what_it_says",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LongQueue",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tasks_app.models.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("destination_id", models.UUIDField()),
                ("task_id", models.UUIDField()),
            ],
            options={
                "db_table": "long_queue",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("destination_id", "task_id"), name="long_queue_once"
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            "".join(SQL),
            "DROP FUNCTION aftercommit_erase(uuid, integer, integer);"
            "DROP FUNCTION aftercommit_supersede(uuid[], uuid[], integer);",
        ),
    ]
