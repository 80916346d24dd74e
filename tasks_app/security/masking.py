"""What others may read shows this in place of a secret, in every form that an echo may take.

Receivers echo what they got: a debug page, a proxy's error, httpbin. An attempt keeps the first
2 KiB of an answer for every member to read, so the secrets are taken out before it is cut.
"""

import html
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "•••"
_MASK: Final = MASK.encode()
SHORTEST: Final = 4
"""A shorter secret hides nothing, and masking it would spoil the text and tell it by the gaps."""


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return the bytes without any of the secrets: plain, in JSON, in a URL, form or HTML."""
    if body:
        for form in _all_forms(tuple(secrets)):
            body = body.replace(form, _MASK)
    return body


@lru_cache(maxsize=1_024)
def _all_forms(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return every form of all, the longest first; kept, as the next answer has the same."""
    forms = {form for secret in secrets for form in _forms(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms(secret: str) -> Iterable[bytes]:
    if len(secret) < SHORTEST:
        return ()
    written = {
        *(secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)),
        *(json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
    }
    return [one.encode() for one in written]
