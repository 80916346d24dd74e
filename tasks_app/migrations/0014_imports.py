"""Imports: their rows, the parts of their files, and what is wrong with rows of these."""

from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

import tasks_app.models.ids

SQL = (Path(__file__).parent / "sql" / "0014_imports.sql").read_text(encoding="utf-8")
STATES = ["receiving", "running", "done", "failed", "cancelled"]


class Migration(migrations.Migration):
    """Imports."""

    dependencies = [("tasks_app", "0013_schedule")]
    operations = [
        migrations.CreateModel(
            name="ImportJob",
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
                ("workspace_id", models.UUIDField()),
                ("state", models.CharField(default="receiving", max_length=10)),
                ("reason", models.CharField(blank=True, default="", max_length=40)),
                (
                    "format",
                    models.CharField(
                        choices=[("csv", "Csv"), ("ndjson", "Ndjson")], max_length=6
                    ),
                ),
                ("filename", models.CharField(blank=True, default="", max_length=200)),
                ("dry_run", models.BooleanField(default=False)),
                ("delimiter", models.CharField(blank=True, default="", max_length=1)),
                (
                    "columns",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                ("size", models.BigIntegerField(default=0)),
                ("start", models.BigIntegerField(default=0)),
                ("start_line", models.BigIntegerField(default=0)),
                ("offset", models.BigIntegerField(default=0)),
                ("line", models.BigIntegerField(default=0)),
                ("row", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(null=True)),
                ("created", models.BigIntegerField(default=0)),
                ("updated", models.BigIntegerField(default=0)),
                ("unchanged", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
                ("trouble", models.PositiveSmallIntegerField(default=0)),
                ("actor", models.JSONField(default=dict)),
                ("request_id", models.CharField(blank=True, default="", max_length=64)),
                ("told_at", models.DateTimeField(db_default=Now())),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "import_job",
                "indexes": [
                    models.Index(fields=["workspace_id", "-id"], name="import_newest"),
                    models.Index(
                        condition=models.Q(state__in=["receiving", "running"]),
                        fields=["id"],
                        name="import_under_way",
                    ),
                    models.Index(
                        condition=models.Q(ended_at__isnull=False),
                        fields=["ended_at"],
                        name="import_ended",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state__in=STATES), name="import_state_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportChunk",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="tasks_app.importjob",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
            ],
            options={
                "db_table": "import_chunk",
                "constraints": [
                    models.UniqueConstraint(fields=["job", "number"], name="import_chunk_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportFault",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="faults",
                        to="tasks_app.importjob",
                    ),
                ),
                ("row", models.BigIntegerField()),
                ("line", models.BigIntegerField()),
                ("pointer", models.TextField(blank=True)),
                ("code", models.CharField(max_length=60)),
                ("detail", models.TextField()),
            ],
            options={
                "db_table": "import_fault",
                "indexes": [models.Index(fields=["job", "id"], name="import_fault_in_order")],
            },
        ),
        migrations.RunSQL(
            SQL, "DROP FUNCTION aftercommit_stand_behind(uuid, bigint, bigint);"
        ),
    ]
