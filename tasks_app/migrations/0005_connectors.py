"""Twins of tasks at destinations that mirror, and the mapping of a destination."""

import django.db.models.deletion
from django.db import migrations, models

import tasks_app.models.ids


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0004_gates")]

    operations = [
        migrations.AddField(
            model_name="destination",
            name="mapping",
            field=models.CharField(blank=True, default="", max_length=4096),
        ),
        migrations.AddField(
            model_name="destination",
            name="twin_id_path",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.CreateModel(
            name="Twin",
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
                ("task_id", models.UUIDField()),
                ("remote_id", models.CharField(blank=True, default="", max_length=200)),
                ("version", models.PositiveIntegerField(default=0)),
                ("generation", models.PositiveIntegerField(default=0)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("first", models.TextField(blank=True, default="")),
                ("updated_at", models.DateTimeField()),
                (
                    "destination",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twins",
                        to="tasks_app.destination",
                    ),
                ),
            ],
            options={"db_table": "twin"},
        ),
        migrations.AddConstraint(
            model_name="twin",
            constraint=models.UniqueConstraint(fields=["destination", "task_id"], name="twin_once"),
        ),
        migrations.AddConstraint(
            model_name="twin",
            constraint=models.CheckConstraint(
                condition=models.Q(remote_id="") | models.Q(first=""),
                name="twin_is_there_or_being_created",
            ),
        ),
    ]
