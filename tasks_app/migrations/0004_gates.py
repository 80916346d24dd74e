"""Circuits and rate limits of destinations, the lease that heeds them, and notices to owners."""

from pathlib import Path

import django.contrib.postgres.fields
import django.utils.timezone
from django.db import migrations, models

import tasks_app.models.ids

SQL = Path(__file__).parent / "sql" / "0004_gates.sql"

CIRCUIT = [
    ("destination_id", models.UUIDField(primary_key=True, serialize=False)),
    (
        "state",
        models.CharField(
            choices=[
                ("closed", "Closed"),
                ("open", "Open"),
                ("probing", "Probing"),
                ("ramping", "Ramping"),
            ],
            default="closed",
            max_length=10,
        ),
    ),
    ("era", models.IntegerField(default=0)),
    ("since", models.DateTimeField(default=django.utils.timezone.now)),
    ("until", models.DateTimeField(null=True)),
    ("trips", models.PositiveSmallIntegerField(default=0)),
    ("in_row", models.PositiveSmallIntegerField(default=0)),
    (
        "recent",
        django.contrib.postgres.fields.ArrayField(
            base_field=models.BigIntegerField(), default=list, size=None
        ),
    ),
    ("told", models.BooleanField(default=False)),
    ("told_by_mail", models.BooleanField(default=False)),
    ("mailed_at", models.DateTimeField(null=True)),
    ("failing_since", models.DateTimeField(null=True)),
    ("failed_at", models.DateTimeField(null=True)),
    ("fails", models.IntegerField(default=0)),
]
GATE = [
    ("destination_id", models.UUIDField(primary_key=True, serialize=False)),
    ("probe_claim", models.UUIDField(null=True)),
    ("ramp_at", models.DateTimeField(null=True)),
    ("ramp_sent", models.IntegerField(default=0)),
    ("ramp_full_at", models.DateTimeField(null=True)),
    ("rate_seconds", models.IntegerField(null=True)),
    ("slot", models.BigIntegerField(default=0)),
    (
        "sent",
        django.contrib.postgres.fields.ArrayField(
            base_field=models.IntegerField(), null=True, size=None
        ),
    ),
]
NOTICE = [
    (
        "id",
        models.UUIDField(
            default=tasks_app.models.ids.uuid7, editable=False, primary_key=True, serialize=False
        ),
    ),
    ("workspace_id", models.UUIDField()),
    ("destination_id", models.UUIDField()),
    (
        "kind",
        models.CharField(
            choices=[
                ("auto_paused", "Auto Paused"),
                ("circuit_opened", "Circuit Opened"),
                ("recovered", "Recovered"),
            ],
            max_length=20,
        ),
    ),
    ("detail", models.CharField(blank=True, default="", max_length=300)),
    ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
    ("next_try_at", models.DateTimeField(default=django.utils.timezone.now)),
    ("tries", models.PositiveSmallIntegerField(default=0)),
    ("ended_at", models.DateTimeField(null=True)),
    ("error", models.CharField(blank=True, default="", max_length=300)),
]


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0003_queue")]

    operations = [
        migrations.AddField(
            model_name="destination",
            name="resumed_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="destination",
            name="rate_limit",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Circuit",
            fields=CIRCUIT,
            options={
                "db_table": "destination_circuit",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "ramping")),
                        fields=["until"],
                        name="circuit_ramping",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ("closed", "open", "ramping"))),
                        name="circuit_state_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(name="Gate", fields=GATE, options={"db_table": "destination_gate"}),
        migrations.CreateModel(
            name="Notice",
            fields=NOTICE,
            options={
                "db_table": "notice",
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=["next_try_at"],
                        name="notice_due",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION aftercommit_due_in(double precision);"
            "DROP FUNCTION aftercommit_lease(text, integer, double precision, boolean);"
            "DROP FUNCTION aftercommit_due(timestamptz);"
            "DROP FUNCTION aftercommit_gate(uuid, jsonb, timestamptz);"
            "DROP FUNCTION aftercommit_window(integer[], bigint, bigint);",
        ),
    ]
