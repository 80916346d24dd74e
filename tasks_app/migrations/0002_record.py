"""The function that is the one way into the log, and the storage of the queue."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "0002_record.sql"


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0001_initial")]

    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP TRIGGER event_is_final ON event; DROP FUNCTION aftercommit_event_is_final();"
            "DROP FUNCTION aftercommit_record(jsonb); DROP FUNCTION aftercommit_uuid7();",
        ),
    ]
