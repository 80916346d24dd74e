"""SMTP (RFC 5321) as this project wants it: timed, abortable, and to all recipients or to none.

Django's backend over the standard library's client, with three things more: each phase is told
to a stopwatch, a deadline can cut the line from another thread, and a message that one of its
recipients can't get is given to none of them, so that a retry doubles nothing.
"""

import smtplib
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from django.core.mail.backends import smtp

from tasks_app.connectors.failure import Phase
from tasks_app.connectors.last_look import NoLongerOurs
from tasks_app.connectors.stopwatch import Stopwatch


class Line:
    """One attempt's connection, for those who watch it."""

    def __init__(self, *, is_ours: Callable[[], bool]) -> None:
        self.is_ours = is_ours
        """Asked right before the message leaves."""
        self.watch = Stopwatch()
        self.is_accepted = False
        """The server has taken the message on: whatever fails from here on does not matter."""
        self.refused: dict[str, tuple[int, bytes]] = {}
        self.is_cut = False
        self.session: smtplib.SMTP | None = None
        self._handle: socket.socket | None = None

    def opened(self, sock: socket.socket) -> None:
        """Note the connection, and cut it at once where the deadline has passed.

        By a handle of our own: TLS takes the socket's away.
        """
        self._handle = sock.dup()
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """End the connection under whoever is waiting on it; may be called from any thread."""
        self.is_cut = True
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptors back, also where Django was stopped on its way there."""
        if self.session is not None:
            self.session.close()
        if self._handle is not None:
            self._handle.close()


class _Session(smtplib.SMTP):
    """One session, told to its line."""

    def __init__(self, line: Line, *args: Any, **kwargs: Any) -> None:
        self.line = line
        line.session = self
        super().__init__(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        self.line.opened(sock)
        return sock

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.line.watch.enter(Phase.TLS)
        answer = super().starttls(*args, **kwargs)
        self.line.watch.enter(Phase.SEND)
        return answer

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, tuple[int, bytes]]:
        """Send to all or to none. Raises smtplib.SMTPException and NoLongerOurs."""
        self.ehlo_or_helo_if_needed()
        self.line.watch.enter(Phase.SEND)
        code, reply = self.mail(from_addr, mail_options)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, reply, from_addr)
        for address in to_addrs:
            code, reply = self.rcpt(address, rcpt_options)
            if code not in (250, 251):
                self.line.refused[address] = (code, reply)
        if self.line.refused:
            raise smtplib.SMTPRecipientsRefused(self.line.refused)
        self.line.watch.enter(Phase.HEADERS)
        code, reply = self.data(msg)
        if code != 250:
            raise smtplib.SMTPDataError(code, reply)
        self.line.is_accepted = True
        return {}

    def send(self, s: Any) -> None:
        """Send a command, or a message: that is the one thing that comes as bytes.

        The server has been told that one comes; without its end it takes none (RFC 5321 §4.1.1.4).
        Raises NoLongerOurs.
        """
        if isinstance(s, bytes) and not self.line.is_ours():
            self.close()
            raise NoLongerOurs
        super().send(s)


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        self.line.watch.enter(Phase.TLS)
        wrapped = self.context.wrap_socket(plain, server_hostname=host)
        self.line.watch.enter(Phase.SEND)
        return wrapped


class WatchedBackend(smtp.EmailBackend):
    """Django's SMTP backend with such a session; reads the same settings."""

    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self._line = line

    @property
    def connection_class(self) -> Any:
        """Return what makes a session, as Django calls it."""
        kind = _TlsSession if self.use_ssl else _Session
        return lambda *args, **kwargs: kind(self._line, *args, **kwargs)
