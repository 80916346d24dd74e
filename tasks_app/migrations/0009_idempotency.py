"""Answers kept for a day by idempotency key."""

from django.db import migrations, models


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
    ]
