"""The queue's verbs in SQL, and the mark of a delivery that was sent again by hand."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql" / "0003_queue.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0002_record")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="replay",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="delivery",
            name="trying_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="destination",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="deliveries",
                to="tasks_app.destination",
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="delivery",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="attempt_set",
                to="tasks_app.delivery",
            ),
        ),
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION aftercommit_give_turns(uuid[], uuid[]);"
            "DROP FUNCTION aftercommit_settle(jsonb);",
        ),
    ]
