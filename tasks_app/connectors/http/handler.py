"""What one connection takes from its peer: an answer when asked for one, and not too much of it.

aiohttp 3.14 by itself keeps what an idle connection is sent and takes it for the answer to the
next request, reads interim answers (1xx) and chunk extensions without bound, and closes the
connection at a malformed chunk without telling the reader of the body.
"""

from typing import Any, Final

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

RAW_BYTES: Final = 2**20
"""An answer's bytes on the wire, with its head and its framing: 64 KiB in chunks of one
byte fit, with what is read ahead."""
MAX_INTERIM: Final = 32
"""Answers of 1xx before the real one (RFC 9110 §15.2)."""
_SLICE: Final = 8_192
"""Parsed at once: some hundred interim answers."""


class Handler(ResponseHandler):
    """aiohttp's protocol of one connection, with bounds."""

    _left = RAW_BYTES
    _interim = MAX_INTERIM

    def ask(self) -> None:
        """A request is about to be sent: one answer may come."""
        self._left, self._interim = RAW_BYTES, MAX_INTERIM

    def rest(self) -> None:
        """The answer has been read: nothing more may come."""
        self._left = 0

    def data_received(self, data: bytes) -> None:
        """Parse what comes, piece by piece."""
        if len(data) <= min(self._left, _SLICE):  # nearly always
            self._left -= len(data)
            super().data_received(data)
            return
        for start in range(0, max(len(data), 1), _SLICE):
            if self.transport is None or self.transport.is_closing():
                return
            self._left -= len(data[start : start + _SLICE])
            if self._left < 0:
                self._refuse("more than an answer may have")
                return
            super().data_received(data[start : start + _SLICE])

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take one parsed head."""
        if data[0].code < 200:
            self._interim -= 1
        if self._interim < 0:
            self._refuse("more interim answers than anybody sends")
            return
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell also whoever reads the body."""
        super().set_exception(exc, *cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(exc)

    def _refuse(self, why: str) -> None:
        self.set_exception(BadHttpMessage(why))
        if self.transport is not None:
            self.transport.abort()
