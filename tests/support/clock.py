"""The database's time passes for a gate: what it remembers is moved into the past."""

from django.db import connection

from tasks_app.models import Destination

SLOTS = 20  # of a rate's window


def let_pass(of: Destination, seconds: float) -> None:
    """Let so much time have passed for the circuit, the gate and the hold of a destination."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE destination_circuit SET since = since - i, until = until - i,"
            " failing_since = failing_since - i, failed_at = failed_at - i,"
            " mailed_at = mailed_at - i,"
            " recent = (SELECT coalesce(array_agg(CASE WHEN n %% 3 = 1 THEN v - %s ELSE v END"
            "   ORDER BY n), '{}') FROM unnest(recent) WITH ORDINALITY r(v, n))"
            " FROM make_interval(secs => %s) i WHERE destination_id = %s",
            [int(seconds // 5), seconds, of.pk],
        )
        cursor.execute(
            "UPDATE destination_gate SET ramp_at = ramp_at - i, ramp_full_at = ramp_full_at - i,"
            f" slot = slot - floor(%s * {SLOTS} / coalesce(rate_seconds, 1))::bigint"
            " FROM make_interval(secs => %s) i WHERE destination_id = %s",
            [seconds, seconds, of.pk],
        )
        cursor.execute(
            "UPDATE destination SET blocked_until = blocked_until - make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, of.pk],
        )
