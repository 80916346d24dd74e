"""What a destination keeps sealed: headers, auth and tls as the API gives and takes them.

Nobody is shown a secret again. What a caller sends back as it was shown, with the mask in it, stays
as it is. A secret is kept only for the address that it was given for: who changes the address
gives it anew, so that no admin can have another's token sent to a server of their own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from tasks_app.actions.echoed import differ
from tasks_app.connectors.auth.certificates import BadCertificate, Certificates, vet_certificates
from tasks_app.connectors.auth.credentials import SECRETS, outline
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.models import Destination
from tasks_app.models.sealed import PLACES, open_json, seal_json
from tasks_app.security.encryption import EncryptionError
from tasks_app.security.masking import MASK

SEALED: Final = ("headers", "auth", "tls")
FORGOTTEN: Final[Mapping[str, Any]] = MappingProxyType(
    {**dict.fromkeys(PLACES, ""), "headers": {}, "auth": None, "tls": None}
)
"""The columns of a destination without any secret."""
Columns = dict[str, Any]


def take_sealed(destination: Destination, fields: Mapping[str, Any]) -> dict[str, Columns]:
    """Return the columns to write for each of the sealed fields that changes.

    ``fields`` are all fields of the change, ``destination`` as it was before. Raises Invalid
    where there is nothing behind a mask, a secret has to be given anew, or certificates are bad.
    """
    taken = {name: _taken(destination, name, fields[name]) for name in SEALED if name in fields}
    if "tls" in taken:
        _vet_tls(taken["tls"])
    _refuse_other_address(destination, fields)
    return {
        name: {name: _outline(name, value), f"sealed_{name}": seal_json(destination, name, value)}
        for name, value in taken.items()
        if _differs(destination, name, value)
    }


def told_headers(destination: Destination) -> dict[str, str]:
    """Return the headers for whoever manages the destination; masked where they do not open."""
    try:
        return open_json(destination, "headers")
    except EncryptionError:
        return dict(destination.headers)


def _taken(destination: Destination, name: str, given: Any) -> Any:
    """Return what was given, with what was kept wherever the mask stands."""
    if given is None:
        return None
    kept = _kept(destination, name) if _has_mask(given) else {}
    if name == "auth" and kept.get("type") != given["type"]:
        kept = {}
    return _unmasked(given, kept, f"/{name}")


def _kept(destination: Destination, name: str) -> dict[str, Any]:
    try:
        return open_json(destination, name)
    except EncryptionError:
        return {}


def _has_mask(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_mask(inner) for inner in value.values())
    return bool(value == MASK)


def _unmasked(given: Any, kept: Any, pointer: str) -> Any:
    if isinstance(given, Mapping):
        inner = kept if isinstance(kept, Mapping) else {}
        return {
            name: _unmasked(value, inner.get(name), f"{pointer}/{name.replace('~', '~0')}")
            for name, value in given.items()
        }
    if given == MASK and not isinstance(kept, str):
        raise _invalid(pointer, "nothing_to_keep", "Nothing is kept here that could stay.")
    return kept if given == MASK else given


def _vet_tls(value: Any) -> None:
    try:
        if value is not None:
            vet_certificates(Certificates.read(value), now=datetime.now(UTC))
    except BadCertificate as bad:
        raise _invalid(f"/tls/{bad.name}", bad.code, bad.detail) from bad


def _refuse_other_address(destination: Destination, fields: Mapping[str, Any]) -> None:
    """Refuse to send a kept secret to an address that its owner has not named."""
    given = fields.get("auth", destination.auth)
    if not destination.sealed_auth or given is None:
        return
    keeps = "auth" not in fields or _has_mask(given)
    moves = _origin(fields.get("url", destination.url)) != _origin(destination.url)
    was = (destination.auth or {}).get("token_url", "")
    moves = moves or _origin(given.get("token_url", was)) != _origin(was)
    if keeps and moves:
        secret = SECRETS[given["type"]][0]
        detail = "The address changes: give this secret again, it is kept for the old one only."
        raise _invalid(f"/auth/{secret}", "secret_needed", detail)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _outline(name: str, value: Any) -> Any:
    if name == "headers":
        return dict.fromkeys(value, MASK)
    if value is None:
        return None
    return outline(value) if name == "auth" else {**value, "key": value["key"] and MASK}


def _differs(destination: Destination, name: str, value: Any) -> bool:
    try:
        return differ(open_json(destination, name), value or {})
    except EncryptionError:
        return True


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError(pointer, code, detail),))
