"""A request that names an `Idempotency-Key` happens once, however often it is sent.

The answer is kept in the transaction of the work that it tells of: either both are on disk or
neither. So a crash between the commit and the answer loses nothing that a repeat would not find.
Only success is kept: what was refused has written nothing, so a repeat of it is judged anew.
An answer is kept sealed: it may show what is nowhere else in plain, as a destination's headers.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection, transaction

from tasks_app.exceptions import KeyInUse, KeyReused
from tasks_app.models.sealed import key_ring
from tasks_app.security.encryption import EncryptionError

logger = logging.getLogger(__name__)

HONOURED: Final = "24 hours"

# A statement of its own after the lock's: its snapshot has what the holder before us committed.
_KEPT: Final = """
    SELECT fingerprint, status, headers, body FROM idempotency_key
    WHERE workspace_id = %s AND owner = %s AND key = %s AND expires_at > statement_timestamp()
"""
_KEEP: Final = """
    INSERT INTO idempotency_key AS old
        (workspace_id, owner, key, fingerprint, status, headers, body, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, statement_timestamp() + %s::interval)
    ON CONFLICT (workspace_id, owner, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
        body = excluded.body, expires_at = excluded.expires_at
    WHERE old.expires_at <= statement_timestamp()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whose key it is, and which request it stands for."""

    workspace_id: UUID
    owner: str
    key: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """The number of its advisory lock."""
        name = f"{self.workspace_id} {self.owner} {self.key}".encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)

    @property
    def context(self) -> str:
        """What its answer is sealed for."""
        return f"answer:{self.workspace_id}:{self.owner}:{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is kept of an answer; without its body where that showed a secret, or is not to be had.

    The last where the key of ENCRYPTION_KEYS that sealed it was taken away within the day.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None


@transaction.atomic
def answer_once(*, claim: Claim, work: Callable[[], Answer]) -> Answer | None:
    """Do the work and keep its answer, or return the answer that was kept; None: done just now.

    Raises KeyInUse, without waiting, while another request with this key runs; KeyReused where
    the key stands for another request; and whatever the work raises, with nothing written.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [claim.lock])
        [alone] = cursor.fetchone()
        cursor.execute(_KEPT, [claim.workspace_id, claim.owner, claim.key])
        kept = cursor.fetchone()
    if kept is not None:
        return _same_request(claim, *kept)
    if not alone:  # whoever else holds it is the first, and not another repeat
        raise KeyInUse
    answer = work()
    if answer.status < 400:
        _keep(claim, answer)
    return None


def _same_request(
    claim: Claim, fingerprint: bytes, status: int, headers: str, body: bytes | None
) -> Answer:
    if bytes(fingerprint) != claim.fingerprint:
        raise KeyReused
    read: dict[str, Any] = orjson.loads(headers)
    return Answer(status=status, headers=read, body=None if body is None else _opened(claim, body))


def _opened(claim: Claim, sealed: bytes) -> bytes | None:
    try:
        return key_ring().decrypt(bytes(sealed).decode(), context=claim.context).encode()
    except EncryptionError:
        logger.warning("answer_unreadable", exc_info=True)
        return None


def _keep(claim: Claim, answer: Answer) -> None:
    row: list[Any] = [claim.workspace_id, claim.owner, claim.key, claim.fingerprint]
    body = answer.body
    if body is not None:
        body = key_ring().encrypt(body.decode(), context=claim.context).encode()
    told: list[Any] = [answer.status, orjson.dumps(dict(answer.headers)).decode(), body]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [*row, *told, HONOURED])
