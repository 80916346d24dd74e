"""Whether the keys of ENCRYPTION_KEYS open what is kept under them."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from config.doctor.finding import Finding, fail, ok, warn
from tasks_app.models import Destination
from tasks_app.models.sealed import PLACES, context_of, key_ring
from tasks_app.security.encryption import BadKeyRing, EncryptionError, KeyRing, WrongKey

MOST: Final = 20_000  # destinations; the newest


def look_at_keys() -> Iterator[Finding]:
    """Open every secret, and throw it away."""
    try:
        ring = key_ring()
    except BadKeyRing as error:
        advice = "Set ENCRYPTION_KEYS to id:base64(32 bytes)."
        yield fail("keys", f"ENCRYPTION_KEYS holds no key: {error}", advice)
        return
    seen: Counter[str] = Counter()
    shut: dict[str, list[str]] = {"unknown": [], "changed": []}
    rows = Destination.objects.filter(deleted_at=None).order_by("-id")
    for row in rows.only("id", *PLACES)[:MOST].iterator():
        for column, place in PLACES.items():
            if sealed := getattr(row, column):
                _open(ring, sealed, context_of(row.pk, place), seen, shut, str(row.pk))
    yield from _told(seen, shut)


def _open(
    ring: KeyRing,
    sealed: str,
    context: str,
    seen: "Counter[str]",
    shut: dict[str, list[str]],
    whose: str,
) -> None:
    try:
        ring.decrypt(sealed, context=context)
        seen["current" if ring.is_current(sealed) else "older"] += 1
    except WrongKey:
        shut["unknown"].append(whose)
    except EncryptionError:
        shut["changed"].append(whose)


def _told(seen: "Counter[str]", shut: dict[str, list[str]]) -> Iterator[Finding]:
    if shut["unknown"]:
        yield fail(
            "keys",
            f"{_some(shut['unknown'])} sealed with a key that ENCRYPTION_KEYS does not have;"
            " nothing goes out to them",
            "Put that key back at the end of ENCRYPTION_KEYS, then rotate_encryption_key.",
        )
    if shut["changed"]:
        yield fail(
            "keys",
            f"{_some(shut['changed'])} changed in the database, or sealed with another key of the"
            " same name",
            "Put the right key back, or give those destinations new secrets.",
        )
    if seen["older"]:
        advice = "Run manage.py rotate_encryption_key before you take an old key away."
        yield warn("keys", f"{seen['older']} secrets are sealed with an older key", advice)
    if not any(shut.values()):
        yield ok("keys", f"ENCRYPTION_KEYS opens all {seen.total()} secrets that are kept")


def _some(whose: list[str]) -> str:
    names = sorted(set(whose))
    return f"secrets of {', '.join(names[:3])}{' …' * (len(names) > 3)} are"
