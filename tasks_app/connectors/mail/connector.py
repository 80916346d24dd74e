"""Mail: one message an event, to all of a destination's recipients or to none.

Django's backends block, so a message is sent in a thread; the attempt's deadline cuts its line.
Its Message-ID is made of the webhook-id: a second copy of a message that may have arrived is
recognised by mail programs and by people. Which server it goes to is the operator's choice
(EMAIL_URL), so no address of a destination leads anywhere inside.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from tasks_app.connectors.base import Connector, Envelope, Outcome, Verdict, WayOut
from tasks_app.connectors.failure import Phase
from tasks_app.connectors.last_look import still_ours
from tasks_app.connectors.mail.diagnosis import diagnose
from tasks_app.connectors.mail.letter import recipients, subject_of, text_of
from tasks_app.connectors.mail.session import Line, WatchedBackend

THREADS: Final = 32
PATIENCE: Final = 5
SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"


class MailConnector(Connector):
    """Sends mail by whatever EMAIL_URL says."""

    kind: ClassVar[str] = "mail"
    methods: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[frozenset[str]] = frozenset()
    scheme: ClassVar[str] = "mailto"
    content_type: ClassVar[str] = "text/plain; charset=utf-8"

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")

    def check_address(self, url: str) -> None:
        """Check a `mailto:` address. Raises ValueError with a sentence."""
        super().check_address(url)
        recipients(url)

    def compose(self, event: Mapping[str, Any], *, mapping: str = "") -> bytes:
        """Build subject and text; a mapping means nothing here."""
        del mapping
        return f"Subject: {subject_of(event)}\n\n{text_of(event)}".encode()

    async def send(self, envelope: Envelope, *, door: WayOut) -> Outcome:
        """Make one attempt. Raises nothing but `asyncio.CancelledError`."""
        del door
        line, started = Line(is_ours=still_ours.get()), time.perf_counter()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, _deliver, envelope, line)
        try:
            async with asyncio.timeout(envelope.timeout):
                await asyncio.shield(work)
        except asyncio.CancelledError:
            _let_go(work, line)
            raise
        except Exception as error:  # noqa: BLE001 - one bad row must not end a whole drain
            _let_go(work, line)
            if not line.is_accepted:
                return diagnose(error, line)
        line.watch.stop()
        return Outcome(
            verdict=Verdict.SUCCEEDED,
            status_code=250,
            phases=line.watch.phases,
            duration_ms=(time.perf_counter() - started) * 1000,
        )


def _let_go(work: "asyncio.Future[None]", line: Line) -> None:
    """Cut the line, and let nobody miss what the thread says after that."""
    line.cut()
    work.cancel()
    work.add_done_callback(lambda done: done.cancelled() or done.exception())


def _deliver(envelope: Envelope, line: Line) -> None:
    """Send one message; runs in a thread. Raises whatever goes wrong."""
    line.watch.skip_to(Phase.CONNECT)
    is_smtp = settings.EMAIL_BACKEND == SMTP
    # The deadline is kept by who waits for this thread; the socket's own only ends the thread.
    patience = int(envelope.timeout) + PATIENCE
    backend = WatchedBackend(line, timeout=patience) if is_smtp else get_connection()
    try:
        _message(envelope, backend).send()
        line.is_accepted = True
    finally:
        line.close()


def _message(envelope: Envelope, backend: Any) -> EmailMessage:
    sender: str = settings.DEFAULT_FROM_EMAIL
    domain = sender.rpartition("@")[2]
    task = envelope.event.get("task", {}).get("id", "")
    headers = {
        "Message-ID": f"<{envelope.message_id}@{domain}>",
        "Date": formatdate(),
        "Auto-Submitted": "auto-generated",  # RFC 3834 §5: no out-of-office answers
        "X-Webhook-Id": envelope.message_id,
        "X-Webhook-Sequence": str(envelope.sequence),
    }
    if task:
        headers["References"] = f"<{task}@{domain}>"  # mail programs show a task's as one thread
    return EmailMessage(
        subject=subject_of(envelope.event),
        body=text_of(envelope.event),
        from_email=sender,
        to=recipients(envelope.url),
        headers=headers,
        connection=backend,
    )
