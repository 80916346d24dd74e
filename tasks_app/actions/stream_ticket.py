"""Stream tickets: one use, 30 s, for a WebSocket that can't send a header."""

import uuid
from datetime import datetime
from typing import Final

from django.db import connection

from tasks_app.security.tickets import new_ticket

TICKET_LIVES_SECONDS: Final = 30

_INSERT: Final = """
    INSERT INTO stream_ticket (digest, membership_id, api_key_id, session_key, expires_at)
    VALUES (%s, %s, %s, %s, statement_timestamp() + make_interval(secs => %s))
    RETURNING expires_at
"""


def create_ticket(
    *, membership_id: uuid.UUID, api_key_id: uuid.UUID | None = None, session_key: str = ""
) -> tuple[str, datetime]:
    """Make a ticket; return it in plain this once, with its end by the database's clock.

    It is bound to the member and to the key or the session that asked, so that it dies with them.
    """
    ticket = new_ticket()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [ticket.digest, membership_id, api_key_id, session_key, TICKET_LIVES_SECONDS],
        )
        (expires_at,) = cursor.fetchone()
    return ticket.plain, expires_at
