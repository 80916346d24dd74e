"""PostgreSQL, one profile a role: who may hold a connection, and for how long.

Every process keeps one connection a thread, with prepared statements, and asks whether it still
lives before each use. `api` and `stream` have a few threads that stay as long as the process, so
nobody needs a pool (ADR 8); in a prefork worker Celery would close one around every task.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from config.env import env
from config.url_password import with_password

ROLE = env.choice("ROLE", "command", ("command", "api", "stream", "worker", "beat"))

TIMEOUTS = {  # milliseconds
    "statement_timeout": 15_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 15_000,
}

# A process that sleeps in mid-transaction (a paused machine) holds its workspace's log. It loses it
# before those who wait for it give up.
HASTY_ROLES = {"api", "stream", "worker"}
HASTE = {"idle_in_transaction_session_timeout": 4_000}  # milliseconds

# A host that vanished without a word is noticed within this, not after the kernel's two hours.
KEEPALIVE = {
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 2,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


def parse_database_url(url: str) -> dict[str, Any]:
    """Return Django's settings of a ``postgresql://`` URL; raises ValueError otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("must begin with postgresql:// (PostgreSQL is the only database).")
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(query.pop("port", "") or parts.port or ""),
        "OPTIONS": dict(query),
    }


def profile(role: str) -> dict[str, Any]:
    """Return connection handling for one role."""
    return {
        "CONN_MAX_AGE": 600 if role in {"api", "stream"} else None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": 5},
    }


def databases(url: str, role: str) -> dict[str, dict[str, Any]]:
    """Return DATABASES for a URL and a role; raises ValueError on a URL that is none."""
    database = parse_database_url(url)
    timeouts = TIMEOUTS | (HASTE if role in HASTY_ROLES else {})
    parameters = " ".join(f"-c {name}={value}" for name, value in timeouts.items())
    extra = profile(role)
    options = {"connect_timeout": 3, "options": parameters, "application_name": role, **KEEPALIVE}
    database["OPTIONS"] = {**options, **database["OPTIONS"], **extra.pop("OPTIONS")}
    return {"default": {**database, **extra}}


DATABASES = env.parsed(
    "DATABASE_URL",
    None,
    lambda url: databases(with_password(url, env.text("DATABASE_PASSWORD", "")), ROLE),
)
