"""What holds a destination back beside its own settings: its circuit, and what went through.

Two narrow rows, apart from the destination: the circuit is written by whoever settles, under the
workspace's head, the gate by the lease, under the destination's lock. A missing row is a closed
circuit through which nothing has gone.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.utils import timezone


class CircuitState(models.TextChoices):
    """As the API tells it; ``probing`` is not kept, but an open circuit's probe under way."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    RAMPING = "ramping"


KEPT = (CircuitState.CLOSED, CircuitState.OPEN, CircuitState.RAMPING)


class CircuitQuerySet(models.QuerySet["Circuit"]):
    """Changes by hand."""

    def begin_anew(self, destination_id: uuid.UUID) -> bool:
        """Let one probe go at once and count failures from here; tell whether one had to wait.

        What is under way no longer counts. The caller holds the workspace's head.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE destination_circuit c"
                " SET failing_since = NULL, failed_at = NULL, fails = 0,"
                " era = c.era + (c.state = 'open')::integer,"
                " until = CASE WHEN c.state = 'open' THEN least(c.until, statement_timestamp())"
                " ELSE c.until END FROM destination_circuit old"
                " WHERE c.destination_id = %s AND old.destination_id = c.destination_id"
                " RETURNING old.state = 'open' AND old.until > statement_timestamp()",
                [destination_id],
            )
            return bool(cursor.fetchone() == (True,))


class Circuit(models.Model):
    """The circuit breaker of one destination, and since when it does nothing but fail."""

    destination_id = models.UUIDField(primary_key=True)
    state = models.CharField(max_length=10, choices=CircuitState.choices, default="closed")
    #: Raised with each change of state: outcomes of attempts leased in an earlier one are late.
    era = models.IntegerField(default=0)
    since = models.DateTimeField(default=timezone.now)
    #: Open: until the next probe may go. Ramping: this long at least.
    until = models.DateTimeField(null=True)
    trips = models.PositiveSmallIntegerField(default=0)
    in_row = models.PositiveSmallIntegerField(default=0)
    #: Attempts of the last minute: slot, up, down; slot, up, down; …
    recent = ArrayField(models.BigIntegerField(), default=list)
    told = models.BooleanField(default=False)
    told_by_mail = models.BooleanField(default=False)
    mailed_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    fails = models.IntegerField(default=0)

    objects = CircuitQuerySet.as_manager()

    class Meta:
        db_table = "destination_circuit"
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=KEPT), name="circuit_state_known"),
        ]
        indexes = [
            models.Index(
                fields=["until"], condition=models.Q(state="ramping"), name="circuit_ramping"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.destination_id}: {self.state}"


class Gate(models.Model):
    """What the leases let through to one destination: the probe, the ramp, the rate."""

    destination_id = models.UUIDField(primary_key=True)
    probe_claim = models.UUIDField(null=True)
    ramp_at = models.DateTimeField(null=True)
    ramp_sent = models.IntegerField(default=0)
    ramp_full_at = models.DateTimeField(null=True)
    rate_seconds = models.IntegerField(null=True)
    slot = models.BigIntegerField(default=0)
    sent = ArrayField(models.IntegerField(), null=True)

    class Meta:
        db_table = "destination_gate"

    def __str__(self) -> str:
        return f"{self.destination_id}: {self.sent or ''}"
