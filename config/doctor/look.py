"""All looks, in the order in which a person would ask; one that fails stops none of the others."""

from collections.abc import Iterator
from typing import Final

from config.doctor.backlog import look_at_backlog
from config.doctor.configuration import look_at_mail, look_at_outbound, look_at_settings
from config.doctor.database import (
    is_there,
    look_at_clock,
    look_at_database,
    look_at_migrations,
    look_at_timeouts,
)
from config.doctor.finding import Finding, Look, fail, warn
from config.doctor.processes import look_at_workers, looks_at_addresses
from config.doctor.secrets_kept import look_at_keys
from config.doctor.valkey import look_at_broker, look_at_cache

OF_THE_SERVER: Final[tuple[Look, ...]] = (look_at_database, look_at_timeouts, look_at_clock)
OF_ROWS: Final[tuple[Look, ...]] = (look_at_keys, look_at_workers, look_at_backlog)


def look(*, url: str) -> Iterator[Finding]:
    """Yield everything found; rows are only looked at where the schema is there."""
    yield from _safely("settings", look_at_settings)
    yield from _database()
    for name, one in (
        ("broker", look_at_broker),
        ("cache", look_at_cache),
        ("address", looks_at_addresses(url)),
        ("outbound", look_at_outbound),
        ("mail", look_at_mail),
    ):
        yield from _safely(name, one)


def _database() -> Iterator[Finding]:
    missing = is_there()
    if missing is not None:
        yield missing
        return
    for one in OF_THE_SERVER:
        yield from _safely("database", one)
    schema = [*_safely("migrations", look_at_migrations)]
    yield from schema
    if any(finding.level for finding in schema):
        advice = "Bring the schema up to date first."
        yield warn("rows", "keys, processes and backlog were not looked at", advice)
        return
    for one in OF_ROWS:
        yield from _safely("database", one)


def _safely(name: str, one: Look) -> Iterator[Finding]:
    try:
        yield from one()
    except Exception as error:  # noqa: BLE001 - a look that breaks is a finding too
        said = f"the look itself failed: {type(error).__name__}"
        yield fail(name, said, "Please report it, with what stands above.")
