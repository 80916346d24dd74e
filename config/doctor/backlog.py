"""Whether what waits, waits with a reason."""

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.db import connection

from config.doctor.finding import Finding, fail, ok, warn

LATE: Final = 60  # seconds
STILL: Final = 300  # seconds; many imports take turns
# Due, and nothing of its destination's holds it back. One look-up by index a destination and rank.
LOOK: Final = """
    SELECT count(*), coalesce(extract(epoch FROM statement_timestamp() - min(f.due)), 0)::integer,
        (SELECT extract(epoch FROM statement_timestamp() - started_at)::integer
         FROM attempt ORDER BY id DESC LIMIT 1),
        (SELECT count(*) FROM delivery WHERE state = 'leased'
         AND lease_expires_at < statement_timestamp() - interval '30 seconds'),
        (SELECT count(*) FROM notice WHERE ended_at IS NULL AND tries >= 3)
    FROM destination x
    LEFT JOIN destination_circuit c ON c.destination_id = x.id
    CROSS JOIN LATERAL (
        SELECT min(d.next_attempt_at) AS due FROM delivery d
        WHERE d.destination_id = x.id AND d.state = 'pending'
          AND d.next_attempt_at <= statement_timestamp()) f
    WHERE x.state = 'active' AND x.deleted_at IS NULL AND f.due IS NOT NULL
      AND (x.blocked_until IS NULL OR x.blocked_until <= statement_timestamp())
      AND (c.state IS NULL OR c.state = 'closed')
"""
# Of workspaces that are there: schedules that are overdue, imports that nobody has moved.
JOBS: Final = """
    SELECT (SELECT count(*) FROM schedule s JOIN workspace w ON w.id = s.workspace_id
            WHERE s.state = 'active' AND w.deleted_at IS NULL
              AND s.next_at < statement_timestamp() - make_interval(secs => %s)),
        (SELECT count(*) FROM import_job j JOIN workspace w ON w.id = j.workspace_id
         WHERE j.state = 'running' AND w.deleted_at IS NULL
           AND j.told_at < statement_timestamp() - make_interval(secs => %s))
"""
NAMES: Final = ("destinations", "late", "quiet", "stale", "mails")


def look_at_backlog() -> Iterator[Finding]:
    """Due work, leases that nobody takes over, mails that do not go out, jobs that stand still."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK)
        seen: dict[str, Any] = dict(zip(NAMES, cursor.fetchone(), strict=True))
    if seen["stale"]:
        yield fail(
            "backlog",
            f"{seen['stale']} leases have run out and nobody takes them over: no sweep runs",
            "See beat and worker above.",
        )
    if seen["mails"]:
        said = f"{seen['mails']} notices to owners have been refused three times or more"
        yield warn(
            "backlog", said, "See mail above, and SELECT * FROM notice WHERE ended_at IS NULL."
        )
    yield from _jobs()
    yield _due(seen)


def _jobs() -> Iterator[Finding]:
    """What the sweep and the workers do beside deliveries."""
    with connection.cursor() as cursor:
        cursor.execute(JOBS, [LATE, STILL])
        schedules, imports = cursor.fetchone()
    if schedules:
        yield fail(
            "backlog",
            f"{schedules} schedules are overdue by more than {LATE} s",
            "See beat and worker above, and schedules_failed in the log of workers.",
        )
    if imports:
        yield fail(
            "backlog",
            f"{imports} imports have stood still for more than {STILL} s",
            "See beat and worker above, and import_step_failed in the log of workers.",
        )


def _due(seen: dict[str, Any]) -> Finding:
    if seen["late"] <= LATE or not settings.OUTBOUND_ENABLED:
        return ok("backlog", f"the oldest due delivery waits for {seen['late']} s")
    said = f"{seen['destinations']} destinations have deliveries due for up to {seen['late']} s"
    quiet = seen["quiet"]
    if quiet is None or quiet > LATE:
        last = "was never an attempt" if quiet is None else f"was an attempt {quiet} s ago"
        return fail(
            "backlog",
            f"{said}, and the last thing that happened {last}",
            "Nobody drains: see worker, broker and outbound. In an emergency: manage.py drain.",
        )
    return warn(
        "backlog",
        f"{said}, but deliveries are going out",
        "Start more workers, or look at GET destinations/ for what is slow or limited.",
    )
