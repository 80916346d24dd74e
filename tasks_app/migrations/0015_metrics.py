from django.db import migrations, models


class Migration(migrations.Migration):
    """Totals of each process for /metrics; narrow updates, kept on their page."""

    dependencies = [("tasks_app", "0014_imports")]

    operations = [
        migrations.CreateModel(
            name="MetricReport",
            fields=[
                ("process", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("role", models.CharField(blank=True, max_length=10)),
                ("samples", models.JSONField(default=dict)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"db_table": "metric_report"},
        ),
    ]
