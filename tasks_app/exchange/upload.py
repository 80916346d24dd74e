"""A file that comes in: kept part by part as it arrives, and looked at on the way.

What is wrong with all of a file is said at once, before anything is promised: that it is empty, too
large, or not UTF-8. Memory holds one part of it.
"""

import codecs
import hashlib
import uuid
from typing import Final

from tasks_app.actions.import_job import drop_import, keep_part, open_import
from tasks_app.events.cause import Cause
from tasks_app.exceptions import TooLarge
from tasks_app.exchange.header import LOOK, refused_file

MAX_BYTES: Final = 100 * 1024 * 1024
PART: Final = 256 * 1024  # bytes; all parts but the last have this size
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
AS_UTF_8: Final = "Save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)."


class Upload:
    """One file on its way into the database."""

    def __init__(self, *, workspace_id: uuid.UUID, cause: Cause) -> None:
        """Make room. Raises TooManyImports."""
        self.job_id = open_import(workspace_id=workspace_id, cause=cause).pk
        self.first = b""  #: as much of its beginning as the header needs
        self.size = 0
        self._digest = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._waiting = bytearray()
        self._parts = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises TooLarge and Invalid; then the file is to be dropped."""
        if self.size + len(data) > MAX_BYTES:
            raise TooLarge(f"A file has at most {MAX_BYTES} bytes.")
        self._check(data, final=False)
        self.size += len(data)
        self._digest.update(data)
        if len(self.first) < LOOK:
            self.first += data[: LOOK - len(self.first)]
        self._waiting += data
        while len(self._waiting) >= PART:
            self._keep(PART)

    def finish(self) -> None:
        """Keep the rest. Raises Invalid where the file is empty or ends in half a character."""
        self._check(b"", final=True)
        if not self.first.strip(b"\xef\xbb\xbf\r\n\t "):
            raise refused_file("empty", "There is nothing in the file.")
        if self._waiting:
            self._keep(len(self._waiting))

    def drop(self) -> None:
        """Forget the file, if nothing has begun with it."""
        drop_import(job_id=self.job_id)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of all that came in."""
        return self._digest.digest()

    def _keep(self, size: int) -> None:
        keep_part(job_id=self.job_id, number=self._parts, data=bytes(self._waiting[:size]))
        del self._waiting[:size]
        self._parts += 1

    def _check(self, data: bytes, *, final: bool) -> None:
        """Follow the encoding, whatever the pieces are cut at."""
        if self.size == 0 and data.startswith(UTF_16):
            raise refused_file("not_utf8", f"The file is UTF-16. {AS_UTF_8}")
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            # What the decoder had kept from before lies in front of the data.
            place = max(0, self.size + len(data) - len(error.object) + error.start)
            raise refused_file(
                "not_utf8", f"Byte {place + 1} of the file is not UTF-8. {AS_UTF_8}"
            ) from error
