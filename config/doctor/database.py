"""PostgreSQL: there, ours, durable, patient no longer than it may be, and at the same time."""

import time
from collections.abc import Iterator
from typing import Any, Final

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from config.doctor.finding import Finding, fail, ok, warn

OLDEST: Final = 150000  # PostgreSQL 15: the oldest that the tests are run with
SKEW_WARN, SKEW_FAIL = 2.0, 60.0  # seconds
CROWDED: Final = 0.8  # of max_connections
LOOK: Final = """
    SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
        pg_is_in_recovery(), current_setting('fsync')::boolean,
        current_setting('synchronous_commit') <> 'off',
        current_setting('full_page_writes')::boolean,
        current_setting('max_connections')::integer, (SELECT count(*) FROM pg_stat_activity),
        (SELECT extract(epoch FROM max(now() - xact_start)) FROM pg_stat_activity
         WHERE xact_start IS NOT NULL AND backend_type = 'client backend'),
        (SELECT count(*) FROM pg_prepared_xacts)
"""
NAMES: Final = (
    *("number", "version", "is_copy", "fsync", "waits", "pages", "most", "connections"),
    *("longest", "prepared"),
)


def look_at_database() -> Iterator[Finding]:
    """Its version, its durability, its room."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK)
        seen: dict[str, Any] = dict(zip(NAMES, cursor.fetchone(), strict=True))
    at = connection.settings_dict
    yield ok("database", f"PostgreSQL {seen['version']} at {at['HOST']}:{at['PORT'] or 5432}")
    if seen["number"] < OLDEST:
        yield fail(
            "database", "it is older than 15", "Upgrade PostgreSQL; 18 is what we test most."
        )
    if seen["is_copy"]:
        yield fail("database", "it is a read-only copy", "Point DATABASE_URL at the primary.")
    if not (seen["fsync"] and seen["waits"] and seen["pages"]):
        yield fail(
            "database",
            "it answers before what was committed is on disk",
            "Set fsync, synchronous_commit and full_page_writes to on.",
        )
    if seen["connections"] > CROWDED * seen["most"]:
        yield warn(
            "database",
            f"{seen['connections']} of {seen['most']} connections are taken",
            "Raise max_connections; see Deploying for how many each process keeps.",
        )
    if seen["longest"] > 60 or seen["prepared"]:
        yield warn(
            "database",
            f"a transaction is open for {seen['longest']:.0f} s; {seen['prepared']} are prepared",
            "Find it in pg_stat_activity (Operations has the query): it keeps old rows alive.",
        )


def look_at_timeouts() -> Iterator[Finding]:
    """Whether our time limits reach the server: some poolers drop them."""
    lost = [name for name in ("statement_timeout", "lock_timeout") if _setting(name) == "0"]
    if lost:
        yield fail(
            "timeouts",
            f"{' and '.join(lost)} did not reach PostgreSQL: a pooler in between drops `options`",
            "Connect directly or by a pool of sessions, or set them with ALTER ROLE … SET.",
        )
    else:
        yield ok("timeouts", f"statements {_setting('statement_timeout')}")


def look_at_clock() -> Iterator[Finding]:
    """How far this machine's clock is from the database's, by which all is due."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        there = float(cursor.fetchone()[0])
    skew = (before + time.time()) / 2 - there
    said = f"this machine is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} PostgreSQL"
    advice = "Run an NTP client on both. Receivers refuse signatures that are 5 minutes off."
    if abs(skew) >= SKEW_FAIL:
        yield fail("clock", said, advice)
    elif abs(skew) >= SKEW_WARN:
        yield warn("clock", said, advice)
    else:
        yield ok("clock", said)


def look_at_migrations() -> Iterator[Finding]:
    """Whether the schema is that of this code."""
    loader = MigrationLoader(connection)
    applied, known = set(loader.applied_migrations), set(loader.graph.nodes)
    missing, unknown = sorted(known - applied), sorted(applied - known)
    ours = [f"{app}.{name}" for app, name in unknown if app in loader.migrated_apps]
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing[:3])
        said = f"{len(missing)} migrations are not applied: {names}{' …' * (len(missing) > 3)}"
        yield fail("migrations", said, "Run manage.py migrate, then restart everything.")
    elif ours:
        yield warn(
            "migrations",
            f"the schema is newer than this code: {', '.join(ours[:3])}",
            "Run the newest version everywhere.",
        )
    else:
        yield ok("migrations", "the schema is that of this code")


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])


def is_there() -> Finding | None:
    """Return a failure where PostgreSQL does not answer."""
    at = connection.settings_dict
    try:
        connection.ensure_connection()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not there
        first = (str(error).strip().splitlines() or [""])[0]
        return fail(
            "database",
            f"{at['HOST'] or 'the socket'}:{at['PORT'] or 5432} does not answer: {first[:200]}",
            "Start PostgreSQL, or correct DATABASE_URL (and DATABASE_PASSWORD).",
        )
    return None
