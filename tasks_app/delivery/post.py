"""The post: mails, from the table of notices, in a thread that nobody waits for.

Rung by the sweep. The thread claims one notice at a time for as long as sending may take, and
holds no transaction while it speaks SMTP: a mail server that hangs keeps neither the sweep nor a
delivery. A process that dies between sending and writing it down sends once more, with the same
Message-ID. Who it goes to is asked when the mail is sent, and links are made only then.
"""

import logging
import threading
import time
import uuid
from typing import Final

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.core.mail import EmailMessage, get_connection
from django.db import Error, connection, transaction

from tasks_app.delivery.letter import Undeliverable, letter
from tasks_app.models import Notice

logger = logging.getLogger(__name__)

CLAIM: Final = 120.0
"""Seconds that a claim keeps others away; a thread that takes longer is given up."""
FIRST_DELAY: Final = 10.0
LONGEST_DELAY: Final = 3600.0
TRIES: Final = 80  # about three days

NEXT: Final = """
    UPDATE notice n SET tries = n.tries + 1,
        next_try_at = statement_timestamp() + make_interval(secs => %s)
    WHERE n.id = COALESCE(
        (SELECT id FROM notice WHERE ended_at IS NULL AND kind = 'password_reset'
         AND next_try_at <= statement_timestamp()
         ORDER BY next_try_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
        (SELECT id FROM notice WHERE ended_at IS NULL AND next_try_at <= statement_timestamp()
         ORDER BY next_try_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED))
    RETURNING n.id
"""
"""A password that somebody waits for goes first, however many other mails some tenant has due."""
DUE: Final = """
    SELECT EXISTS (SELECT 1 FROM notice
                   WHERE ended_at IS NULL AND next_try_at <= statement_timestamp())
"""
FAILED: Final = """
    UPDATE notice SET error = %s, next_try_at = statement_timestamp() + make_interval(secs => %s),
        ended_at = CASE WHEN %s THEN statement_timestamp() END
    WHERE id = %s
"""

_lock = threading.Lock()
_began: list[tuple[threading.Thread, float]] = []


def send_notices() -> None:
    """Begin to send what waits, unless this process is at it. Returns at once."""
    if not settings.OUTBOUND_ENABLED or not _is_due():
        return
    with _lock:
        if _began and _began[-1][0].is_alive() and time.monotonic() - _began[-1][1] < CLAIM:
            return
        thread = threading.Thread(target=_run, name="post", daemon=True)
        _began[:] = [(thread, time.monotonic())]
        thread.start()


def wait_for_post(seconds: float) -> bool:
    """Wait for what was begun; tell whether it has ended."""
    for thread, _ in list(_began):
        thread.join(seconds)
    return not any(thread.is_alive() for thread, _ in _began)


def _is_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        return bool(cursor.fetchone()[0])


def _run() -> None:
    try:
        while (notice := _claimed()) is not None:
            _try(notice)
    except Error:
        logger.warning("post_interrupted", exc_info=True)
    finally:
        connection.close()


@transaction.atomic
def _claimed() -> Notice | None:
    with connection.cursor() as cursor:
        cursor.execute(NEXT, [CLAIM])
        found = cursor.fetchone()
    return Notice.objects.get(pk=found[0]) if found else None


def _try(notice: Notice) -> None:
    try:
        _send(notice)
    except ObjectDoesNotExist:
        return _ended(notice.pk, "gone")
    except Undeliverable as reason:
        return _ended(notice.pk, str(reason))
    except Exception as error:  # SMTP, the network, a template: the next try may fare better
        logger.warning("notice_failed", exc_info=True, extra={"notice": str(notice.pk)})
        return _failed(notice, type(error).__name__)
    return _ended(notice.pk, "")


def _send(notice: Notice) -> None:
    mail = letter(notice)
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]
    message_id = f"<notice-{notice.pk.hex}@{host}>"
    with get_connection() as backend:
        EmailMessage(
            mail.subject,
            mail.body,
            to=mail.to,
            connection=backend,
            headers={"Message-ID": message_id},
        ).send()


def _ended(pk: uuid.UUID, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notice SET ended_at = statement_timestamp(), error = %s WHERE id = %s",
            [error, pk],
        )


def _failed(notice: Notice, error: str) -> None:
    delay = min(FIRST_DELAY * 2 ** min(notice.tries - 1, 16), LONGEST_DELAY)
    with connection.cursor() as cursor:
        cursor.execute(FAILED, [error, delay, notice.tries >= TRIES, notice.pk])
