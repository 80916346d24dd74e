"""A twin is the resource that stands for a task at a destination that mirrors."""

from django.db import models

from tasks_app.models.destination import Destination
from tasks_app.models.ids import uuid7


class Twin(models.Model):
    """What is known of one. Written by leases and settles, never by a request."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Without an index of its own: `twin_once` begins with it.
    destination = models.ForeignKey(
        Destination, models.CASCADE, related_name="twins", db_index=False
    )
    task_id = models.UUIDField()
    #: As the receiver calls it; empty while it is being created, and after it is gone.
    remote_id = models.CharField(max_length=200, blank=True, default="")
    #: The version of the task that the receiver last took.
    version = models.PositiveIntegerField(default=0)
    #: How many creations have come to nothing; each has an Idempotency-Key of its own.
    generation = models.PositiveIntegerField(default=0)
    #: How often creating this generation was tried before the last time.
    tries = models.PositiveIntegerField(default=0)
    #: While it is being created: what was first tried, JSON byte for byte. Empty otherwise.
    first = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "twin"
        constraints = [
            models.UniqueConstraint(fields=["destination", "task_id"], name="twin_once"),
            models.CheckConstraint(
                condition=models.Q(remote_id="") | models.Q(first=""),
                name="twin_is_there_or_being_created",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} → {self.remote_id or 'none'}"
