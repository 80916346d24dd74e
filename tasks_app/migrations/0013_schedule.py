"""Recurring tasks: schedules, and what came of each of their times."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

import tasks_app.models.ids


def key() -> models.UUIDField:
    return models.UUIDField(
        default=tasks_app.models.ids.uuid7, editable=False, primary_key=True, serialize=False
    )


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0012_admin")]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", key()),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="schedules",
                        to="tasks_app.workspace",
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("cron", models.CharField(max_length=100)),
                ("time_zone", models.CharField(max_length=64)),
                ("template", models.JSONField(default=dict)),
                (
                    "catch_up",
                    models.CharField(
                        choices=[("last", "Last"), ("all", "All"), ("none", "None")],
                        default="last",
                        max_length=4,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused")],
                        default="active",
                        max_length=6,
                    ),
                ),
                ("next_at", models.DateTimeField(editable=False, null=True)),
                (
                    "next_local",
                    models.CharField(blank=True, default="", editable=False, max_length=16),
                ),
                ("last_at", models.DateTimeField(editable=False, null=True)),
                (
                    "last_local",
                    models.CharField(blank=True, default="", editable=False, max_length=16),
                ),
                ("since", models.DateTimeField(db_default=Now(), editable=False)),
                (
                    "error",
                    models.CharField(blank=True, default="", editable=False, max_length=300),
                ),
                ("created_by", models.CharField(editable=False, max_length=150)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("updated_at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
            options={
                "db_table": "schedule",
                "indexes": [
                    models.Index(
                        condition=models.Q(state="active"),
                        fields=["next_at"],
                        name="schedule_due",
                    ),
                    models.Index(
                        condition=models.Q(state="active"),
                        fields=["workspace", "next_at"],
                        name="schedule_due_of_workspace",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "name"), name="schedule_name_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(state__in=["active", "paused"]),
                        name="schedule_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(catch_up__in=["last", "all", "none"]),
                        name="schedule_catch_up_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ScheduleOccurrence",
            fields=[
                ("id", key()),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="occurrences",
                        to="tasks_app.schedule",
                    ),
                ),
                ("at", models.DateTimeField()),
                ("task_id", models.UUIDField(null=True)),
                ("error", models.CharField(blank=True, default="", max_length=300)),
                ("created_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "db_table": "schedule_occurrence",
                "indexes": [models.Index(fields=["created_at"], name="occurrence_by_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("schedule", "at"), name="occurrence_once"),
                ],
            },
        ),
    ]
