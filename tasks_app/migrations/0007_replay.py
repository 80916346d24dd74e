"""Chains of destinations, and replays: events of the past, once more for one destination."""

from pathlib import Path

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models.functions import Now

import tasks_app.models.ids

FOLDER = Path(__file__).parent / "sql"
SQL = [(FOLDER / f"0007_{name}.sql").read_text("utf-8") for name in ("chains", "replay")]
STATES = [(word, word.capitalize()) for word in ("running", "waiting", "done", "cancelled")]


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0006_auth")]

    operations = [
        migrations.AddField(
            model_name="destination",
            name="after",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="destination",
            name="mode",
            field=models.CharField(
                choices=[("every", "Every"), ("latest", "Latest")], default="every", max_length=6
            ),
        ),
        migrations.AddField(
            model_name="delivery", name="behind", field=models.UUIDField(null=True)
        ),
        migrations.AddField(
            model_name="destinationcounter",
            name="freed_to",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name="destinationcounter",
            index=models.Index(
                condition=models.Q(freed_to__gt=0),
                fields=["destination_id"],
                name="counter_to_free",
            ),
        ),
        migrations.CreateModel(
            name="Replay",
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
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=models.CASCADE,
                        related_name="replays",
                        to="tasks_app.destination",
                    ),
                ),
                (
                    "state",
                    models.CharField(choices=STATES, default="running", max_length=10),
                ),
                ("reason", models.CharField(blank=True, default="", max_length=40)),
                ("from_seq", models.BigIntegerField()),
                ("to_seq", models.BigIntegerField()),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), null=True, size=None
                    ),
                ),
                ("from_time", models.DateTimeField(null=True)),
                ("to_time", models.DateTimeField(null=True)),
                (
                    "states",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=10), default=list, size=None
                    ),
                ),
                ("rate", models.PositiveIntegerField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("cursor", models.BigIntegerField()),
                ("total", models.BigIntegerField(null=True)),
                ("made", models.BigIntegerField(default=0)),
                ("skipped", models.BigIntegerField(default=0)),
                ("ended", models.BigIntegerField(default=0)),
                ("cancels_deliveries", models.BooleanField(default=False)),
                ("actor", models.JSONField(default=dict)),
                ("request_id", models.CharField(blank=True, default="", max_length=64)),
                ("told", models.BigIntegerField(default=0)),
                ("told_at", models.DateTimeField(db_default=Now())),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "replay",
                "indexes": [
                    models.Index(fields=["workspace_id", "-id"], name="replay_newest"),
                    models.Index(
                        condition=models.Q(state__in=["running", "waiting"])
                        | models.Q(cancels_deliveries=True),
                        fields=["id"],
                        name="replay_under_way",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state__in=[word for word, _ in STATES]),
                        name="replay_state_known",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["destination", "event_seq", "sequence"], name="delivery_of_event"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(behind__isnull=False),
                fields=["behind"],
                name="delivery_in_chain",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(behind__isnull=False, state="waiting"),
                fields=["destination", "sequence"],
                name="delivery_chained",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(replay__gt=""),
                fields=["replay", "destination", "state", "rank"],
                name="delivery_of_replay",
            ),
        ),
        migrations.RunSQL(
            "".join(SQL),
            "DROP FUNCTION aftercommit_replay_step(uuid, text[], integer, integer, integer,"
            " double precision, integer);"
            "DROP FUNCTION aftercommit_replay_count(replay, text[], integer);"
            "DROP FUNCTION aftercommit_replay_reach(replay, integer);"
            "DROP FUNCTION aftercommit_replay_chosen(replay, text[], uuid, bigint);"
            "DROP FUNCTION aftercommit_replay_firsts(replay, text[], bigint);"
            "DROP FUNCTION aftercommit_mend_chains(uuid[], text);"
            "DROP FUNCTION aftercommit_let_go(uuid, integer);"
            "DROP FUNCTION aftercommit_move_on(uuid[], uuid[], uuid[]);"
            "DROP FUNCTION aftercommit_follow_chains(uuid[], uuid[], integer);"
            "DROP FUNCTION aftercommit_stands_for(uuid, integer);"
            "DROP FUNCTION aftercommit_followers(uuid[]);",
        ),
    ]
