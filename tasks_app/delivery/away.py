"""The errors that say that the database is away, or has given this connection up.

InternalError is how PostgreSQL tells a process that slept in mid-transaction that its transaction
was ended (25P03); what it held in memory can still be written down by the next connection.
"""

from typing import Final

from django.db import InterfaceError, InternalError, OperationalError, connection

AWAY: Final = (OperationalError, InterfaceError, InternalError)


def is_away(error: Exception) -> bool:
    """Tell whether nothing else would fare better, now that this transaction has ended so.

    A statement that was cancelled, a lock that was waited for too long and a deadlock come as the
    same classes of error, but concern nobody else.
    """
    return isinstance(error, AWAY) and not connection.is_usable()
