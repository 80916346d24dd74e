"""Signs of life of workers and beat: who is silent has died, and its leases are taken over."""

from django.db import models


class ProcessBeat(models.Model):
    """One process; ``seen_at`` is the database's clock."""

    name = models.CharField(max_length=120, primary_key=True)
    kind = models.CharField(max_length=10)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "process_beat"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
