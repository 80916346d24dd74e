"""An attempt is one try at a delivery: when, how long in each phase, what came back."""

from django.db import models

from tasks_app.models.delivery import Delivery
from tasks_app.models.ids import uuid7


class Attempt(models.Model):
    """One try. Never changed after it is written."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Without an index of its own: `attempt_number_once` begins with it.
    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="attempt_set", db_index=False
    )
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.FloatField()
    phases = models.JSONField(default=dict)
    failed_phase = models.CharField(max_length=10, blank=True, default="")
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=40, blank=True, default="")
    detail = models.CharField(max_length=300, blank=True, default="")
    response_excerpt = models.TextField(blank=True, default="")

    class Meta:
        db_table = "attempt"
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.delivery_id}: {self.status_code or self.error}"
