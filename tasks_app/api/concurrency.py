"""`ETag`, `If-Match`, `If-None-Match` (RFC 9110 §8.8.3, §13.1): a version guards against loss."""

import re
from typing import Final

from tasks_app.exceptions import Invalid

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_STRONG_VERSION: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,9})"')


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def expected_versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` allows; None where it allows any.

    A weak tag never matches (strong comparison). Raises Invalid where the header is malformed.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if not _LIST.fullmatch(if_match):
        raise Invalid('If-Match must be * or a list of entity tags such as "3".')
    tags = re.findall(_TAG, if_match)
    found = (_STRONG_VERSION.fullmatch(tag) for tag in tags)
    return frozenset(int(match[1]) for match in found if match)


def is_only_new(if_none_match: str | None) -> bool:
    """Tell whether ``If-None-Match`` allows only what does not exist yet (RFC 9110 §13.1.2).

    Raises Invalid for anything but ``*``: what exists is replaced under ``If-Match``.
    """
    if if_none_match is None:
        return False
    if if_none_match.strip(" \t") != "*":
        raise Invalid("If-None-Match must be *.")
    return True
