"""The errors that say that the database is away, or has given this connection up.

InternalError is how PostgreSQL tells a process that slept in mid-transaction that its transaction
was ended (25P03); what it held in memory can still be written down by the next connection.
"""

from typing import Final

from django.db import InterfaceError, InternalError, OperationalError

AWAY: Final = (OperationalError, InterfaceError, InternalError)
