"""The errors that say that the database is away, or has given this connection up.

InternalError is how PostgreSQL tells a process that slept in mid-transaction that its transaction
was ended (25P03); what it held in memory can still be written down by the next connection.
"""

from typing import Final

import psycopg.errors as pg
from django.db import InterfaceError, InternalError, OperationalError, connection

AWAY: Final = (OperationalError, InterfaceError, InternalError)
HELD_UP: Final = (pg.LockNotAvailable, pg.DeadlockDetected, pg.QueryCanceled)


def is_away(error: Exception) -> bool:
    """Tell whether nothing else would fare better, now that this transaction has ended so.

    A statement that was cancelled, a lock that was waited for too long and a deadlock come as the
    same classes of error, but concern nobody else.
    """
    return isinstance(error, AWAY) and not connection.is_usable()


def is_held_up(error: Exception) -> bool:
    """Tell whether somebody else's transaction was in the way: of the others here, maybe not."""
    return isinstance(error.__cause__, HELD_UP)
