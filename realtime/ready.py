"""/stream/readyz: may a proxy send clients here? The database and the drain decide."""

import asyncio

from django.db import Error as DatabaseError
from django.db import connection

from realtime.asgi_types import Receive, Scope, Send
from realtime.database import in_thread
from realtime.hub import hub
from realtime.problems import send_json

PATIENCE_SECONDS = 2.0


async def answer_readyz(_scope: Scope, _receive: Receive, send: Send) -> None:
    """200 where new followers are welcome, else 503; the channel layer is only reported."""
    home = hub()
    database = await _database_answers()
    ready = database and not home.draining
    checks = {
        "database": "ok" if database else "failed",
        "subscription": "alive" if home.ears.alive else "silent",
        "draining": home.draining,
        "followers": len(home.followers),
    }
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    headers = [(b"cache-control", b"no-store")]
    await send_json(send, 200 if ready else 503, body, headers)


async def _database_answers() -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await in_thread(_select_one)
    except (DatabaseError, TimeoutError):
        return False
    return True


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
