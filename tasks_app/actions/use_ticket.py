"""Using a stream ticket: deleting its row is using it, so it opens one stream once."""

import uuid
from dataclasses import dataclass
from typing import Final

from django.db import connection

from tasks_app.security.tickets import digest

_USE: Final = """
    DELETE FROM stream_ticket WHERE digest = %s
    RETURNING membership_id, api_key_id, session_key, expires_at > statement_timestamp()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketHolder:
    """Whom a ticket was made for."""

    membership_id: uuid.UUID
    api_key_id: uuid.UUID | None
    session_key: str


def use_ticket(*, plain: str) -> TicketHolder | None:
    """Use a ticket up; return its holder, or None where it is unknown, used or too old."""
    with connection.cursor() as cursor:
        cursor.execute(_USE, [digest(plain)])
        row = cursor.fetchone()
    if row is None or not row[3]:
        return None
    return TicketHolder(membership_id=row[0], api_key_id=row[1], session_key=row[2])
