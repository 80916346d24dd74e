"""What became of an occurrence that could not be made: refused for good, or to be tried again.

Refused is what the template's own contents or times are to blame for. What is wrong with the
database passes: it is away, held up, or its schema is that of another release while a new one is
rolled out. What nobody foresaw is tried again some times before it counts as refused.
"""

import uuid
from collections import Counter
from datetime import datetime
from typing import Final

from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from tasks_app.exceptions import Refusal
from tasks_app.models import Schedule
from tasks_app.recurrence.calendar import UnknownZone
from tasks_app.recurrence.expression import BadExpression

#: Nothing is wrong with the schedule: the same may be done a moment later.
PASSING: Final = (
    *(OperationalError, InterfaceError, InternalError),
    *(ProgrammingError, NotSupportedError),
)
#: No next time can be found.
BadTimes: Final = (BadExpression, UnknownZone)
REFUSED: Final = (Refusal, *BadTimes, DataError, IntegrityError)
LENGTH: Final = 300

_tried = Counter[tuple[uuid.UUID, datetime | None]]()


def is_refused(schedule: Schedule, error: Exception, tries: int) -> bool:
    """Tell whether it is over with this occurrence; count where it is not."""
    one = schedule.pk, schedule.next_at
    if isinstance(error, REFUSED) or _tried[one] >= tries:
        del _tried[one]
        return True
    _tried[one] += 1
    return False


def words_of(error: Exception) -> str:
    """Return what people may read of it: of the database's words the first, which holds no rows."""
    if isinstance(error, UnknownZone):
        return f"There is no such time zone any more: {error}"[:LENGTH]
    if isinstance(error, BadExpression | Refusal):
        return error.detail[:LENGTH]
    if isinstance(error, Error):
        said = getattr(getattr(error.__cause__, "diag", None), "message_primary", None)
        return f"The task was refused: {said or type(error).__name__}"[:LENGTH]
    return f"The task could not be made: {type(error).__name__}"
