"""What an exception on the way to a mail server means, in the words of `ErrorCode`."""

import smtplib
import socket
import ssl
from collections.abc import Iterable
from typing import Final

from tasks_app.connectors.base import EXCERPT_BYTES, ErrorCode, Outcome, Verdict
from tasks_app.connectors.failure import Phase
from tasks_app.connectors.last_look import DETAIL, NoLongerOurs
from tasks_app.connectors.mail.session import Line
from tasks_app.security.masking import masked

_TIMEOUTS: Final = {
    Phase.CONNECT: (ErrorCode.CONNECT_TIMEOUT, "The mail server did not answer in time."),
    Phase.TLS: (ErrorCode.TLS_TIMEOUT, "The TLS handshake with the mail server took too long."),
    Phase.SEND: (ErrorCode.SEND_TIMEOUT, "The mail server did not take the message in time."),
    Phase.HEADERS: (ErrorCode.HEADERS_TIMEOUT, "The mail server did not confirm in time."),
}
_OURS: Final = (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError)


def diagnose(error: Exception, line: Line) -> Outcome:
    """Return the outcome of an attempt that ended with this exception; ends the stopwatch."""
    phase = Phase.DNS if isinstance(error, socket.gaierror) else line.watch.phase
    duration = line.watch.stop()
    status, reply = _reply(error)
    code, detail = _finding(error, phase, status)
    return Outcome(
        verdict=Verdict.FAULT if code is ErrorCode.FAULT else Verdict.FAILED,
        status_code=status,
        error=code,
        detail=detail,
        failed_phase=phase.value,
        excerpt=_excerpt(reply, line.refused),
        phases=line.watch.phases,
        duration_ms=duration,
    )


def _finding(error: Exception, phase: Phase, status: int | None) -> tuple[ErrorCode, str]:
    if isinstance(error, NoLongerOurs):
        return ErrorCode.FAULT, DETAIL
    if isinstance(error, _OURS):
        return ErrorCode.FAULT, "The mail server does not take our login (EMAIL_URL)."
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        count = len(error.recipients)
        return _class(status), f"The mail server refused {count} of the recipients; nobody got it."
    if isinstance(error, TimeoutError):
        return _TIMEOUTS.get(phase, _TIMEOUTS[Phase.CONNECT])
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return ErrorCode.CONNECTION_RESET, "The mail server closed the connection."
    if status is not None:
        return _class(status), f"The mail server answered {status}."
    return _of_the_network(error, phase)


def _of_the_network(error: Exception, phase: Phase) -> tuple[ErrorCode, str]:
    if isinstance(error, socket.gaierror):
        return ErrorCode.DNS_FAILED, "The mail server's name could not be resolved."
    if isinstance(error, ssl.SSLError):
        return ErrorCode.TLS_FAILED, "The TLS handshake with the mail server failed."
    if isinstance(error, ConnectionRefusedError):
        return ErrorCode.CONNECT_REFUSED, "The mail server refused the connection."
    if isinstance(error, OSError) and phase is Phase.CONNECT:
        return ErrorCode.CONNECT_FAILED, "The mail server can't be reached."
    if isinstance(error, OSError):
        return ErrorCode.CONNECTION_RESET, "The connection to the mail server broke off."
    return ErrorCode.FAULT, f"We could not send: {type(error).__name__}."


def _class(status: int | None) -> ErrorCode:
    return ErrorCode.SMTP_5XX if status is not None and status >= 500 else ErrorCode.SMTP_4XX


def _reply(error: Exception) -> tuple[int | None, bytes]:
    """Return the server's last word; of several refusals the most final one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(error.recipients.values(), key=lambda one: one[0])
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 400:
        said = error.smtp_error
        return error.smtp_code, said if isinstance(said, bytes) else said.encode()
    return None, b""


def _excerpt(reply: bytes, addresses: Iterable[str]) -> str:
    """Keep what the server said, without the recipients: every member may read it."""
    text = masked(reply, addresses)[:EXCERPT_BYTES].decode(errors="replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
