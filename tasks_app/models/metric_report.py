"""What one process has counted; see tasks_app/observability/metric_report.py."""

from django.db import models


class MetricReport(models.Model):
    """A row a living process, and one for all that are gone."""

    process = models.CharField(max_length=120, primary_key=True)
    role = models.CharField(max_length=10, blank=True)
    samples = models.JSONField(default=dict)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "metric_report"

    def __str__(self) -> str:
        return self.process
