"""Answers kept for a day by idempotency key; attempts counted as they are written."""

from pathlib import Path

from django.db import migrations, models

SQL = (Path(__file__).parent / "sql" / "0009_attempt_count.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0008_latest")]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("workspace_id", models.UUIDField()),
                ("owner", models.CharField(max_length=45)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("status", models.PositiveSmallIntegerField()),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(null=True)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "db_table": "idempotency_key",
                "indexes": [models.Index(fields=["expires_at"], name="idempotency_key_expiry")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace_id", "owner", "key"), name="idempotency_key_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AttemptCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("destination_id", models.UUIDField()),
                ("slot", models.DateTimeField()),
                ("succeeded", models.BooleanField()),
                ("bucket", models.SmallIntegerField()),
                ("attempts", models.BigIntegerField()),
            ],
            options={
                "db_table": "attempt_count",
                "indexes": [models.Index(fields=["slot"], name="attempt_count_slot")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("destination_id", "slot", "succeeded", "bucket"),
                        name="attempt_count_once",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                fields=["workspace", "status", "-created_at", "-id"], name="task_by_status"
            ),
        ),
        migrations.RunSQL(
            SQL,
            "DROP TRIGGER attempt_is_counted ON attempt;"
            "DROP FUNCTION aftercommit_count_attempts();",
        ),
    ]
