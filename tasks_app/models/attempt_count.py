"""How many attempts took how long: what statistics read in place of the attempts themselves."""

from typing import Final

from django.db import models

#: A bucket holds durations within 5 % of GROWTH ** bucket milliseconds.
GROWTH: Final = 1.1
SLOT_MINUTES: Final = 5


class AttemptCount(models.Model):
    """Attempts of one destination that ended within one slot of time, and took about as long.

    Written by a trigger of `attempt`, in the transaction that settles; so it costs the same to
    read however many attempts there were.
    """

    destination_id = models.UUIDField()
    slot = models.DateTimeField()
    succeeded = models.BooleanField()
    bucket = models.SmallIntegerField()
    attempts = models.BigIntegerField()

    class Meta:
        db_table = "attempt_count"
        constraints = [
            models.UniqueConstraint(
                fields=["destination_id", "slot", "succeeded", "bucket"], name="attempt_count_once"
            ),
        ]
        indexes = [models.Index(fields=["slot"], name="attempt_count_slot")]

    def __str__(self) -> str:
        return f"{self.attempts} to {self.destination_id} at {self.slot}"
